"""Prints one line for each call on callstream.calls that is final: app, call, revision, outcome, talk time in milliseconds.

    pip install -r requirements.txt
    KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081/apis/ccompat/v7 GROUP=my-calls python calls.py
"""

import os
import signal
import sys

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

registry = SchemaRegistryClient({"url": os.environ.get("SCHEMA_REGISTRY_URL", "http://127.0.0.1:8081/apis/ccompat/v7")})
decode = AvroDeserializer(registry)
consumer = Consumer(
    {
        "bootstrap.servers": os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092"),
        "group.id": os.environ.get("GROUP", "calls-example"),
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
    }
)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
consumer.subscribe(["callstream.calls"])
try:
    while True:
        message = consumer.poll(1.0)
        if message is None or (message.error() is None and message.value() is None):
            continue
        if message.error() is not None:
            raise KafkaException(message.error())
        call = decode(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
        if call["final"]:
            print(call["app_id"], call["call_id"], call["revision"], call["outcome"], call["talk_ms"], sep="\t", flush=True)
finally:
    consumer.close()
