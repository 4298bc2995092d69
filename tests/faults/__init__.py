"""What happens to the whole system when something breaks: crashes, stops, full disks, brokers that go away."""
