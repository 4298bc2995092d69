"""The tests of Entente: one folder for each service, the chassis, the contracts, and for what holds across them."""
