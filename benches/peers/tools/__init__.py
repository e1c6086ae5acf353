"""One file for each backup program; a new one is a class derived from `Tool`, named TOOL."""
