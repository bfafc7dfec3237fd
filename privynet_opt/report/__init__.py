"""The report: cards say what to show, figures draw it, the page makes one HTML file of them."""
