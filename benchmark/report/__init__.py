"""Tables, figures and the site. May import evidence and the rooms below it; needs no torch."""
