"""What every request passes, whatever it asks: who sends it, how much, how long, and its errors."""
