"""How public events travel between services: one port, in process or over Apache Kafka.

While Kafka is away commands go on, because the log is the outbox: the relay (`chassis.relay`) starts again from its last
acknowledged position, and consumers go on from their own.
"""
