"""What all pages share: the page itself, its words, files, branding, helplines and errors."""
