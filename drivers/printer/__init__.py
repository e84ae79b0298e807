"""Receipt printers: ESC/POS spoken over TCP, USB, serial lines and device files."""
