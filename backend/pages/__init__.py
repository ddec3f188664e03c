"""How pages look that people see in a browser: words, layout, style, protection."""
