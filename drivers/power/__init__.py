"""Starting the machine anew."""
