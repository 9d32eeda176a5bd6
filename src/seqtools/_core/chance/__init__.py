"""Seeds, and the random numbers that items draw from them."""
