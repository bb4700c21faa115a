"""What trains and applies networks: randomness, backbones, batches, the one loop."""
