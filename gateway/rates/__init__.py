"""What the rate limit policy is made of."""
