"""What is kept of answers, and who fetches one when many want it: two tiers, flights, purges."""
