"""What operators do to devices from afar."""
