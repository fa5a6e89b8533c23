"""The one door: whatever the faces may ask for, one file per noun; the faces print, here it is decided."""
