"""How public events travel between services: one port, in process or over Apache Kafka."""
