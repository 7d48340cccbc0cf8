"""The library of encodings: one JSON file each, exported to rtl/encodings."""
