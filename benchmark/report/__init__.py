"""Tables, figures and the site. May import evidence and what lies below it; needs no torch."""
