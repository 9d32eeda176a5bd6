"""One module for each kind of combinator: a function for users and the class it returns."""
