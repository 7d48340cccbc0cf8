"""Area and timing of columns from open tools."""
