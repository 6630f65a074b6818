"""Parts that all pages share: the page itself, words, files, branding, helplines and errors."""
