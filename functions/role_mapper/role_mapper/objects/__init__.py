"""The objects that the role mapper keeps on a domain, a module for each kind; `managed` is what they have in common."""
