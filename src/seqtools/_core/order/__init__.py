"""In which order items come: permutations, epochs, parts and proportions."""
