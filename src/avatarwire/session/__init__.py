"""What every session is made of, whatever its platform."""
