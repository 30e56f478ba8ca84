"""The study of compression: stages that make nets, files that hold them, the page."""
