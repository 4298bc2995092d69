"""The five services. None imports another; `services.__main__` alone runs them all in one process."""
