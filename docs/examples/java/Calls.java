import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Prints one line for each call on callstream.calls that is final: app, call, revision, outcome, talk time in milliseconds.
 *
 * <pre>
 * mvn dependency:copy-dependencies -DoutputDirectory=lib
 * KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081/apis/ccompat/v7 GROUP=my-calls java -cp 'lib/*' Calls.java
 * </pre>
 */
public class Calls {
  private final HttpClient http = HttpClient.newHttpClient();
  private final ObjectMapper json = new ObjectMapper();
  private final String registry;
  /** By the id that a value was written with. */
  private final Map<Integer, GenericDatumReader<GenericRecord>> readers = new HashMap<>();

  Calls(String registry) {
    this.registry = registry;
  }

  public static void main(String[] args) throws Exception {
    var calls = new Calls(variable("SCHEMA_REGISTRY_URL", "http://127.0.0.1:8081/apis/ccompat/v7"));
    Map<String, Object> config = Map.of(
        "bootstrap.servers", variable("KAFKA_BROKERS", "127.0.0.1:9092"),
        "group.id", variable("GROUP", "calls-example"),
        "isolation.level", "read_committed",
        "auto.offset.reset", "earliest",
        "key.deserializer", ByteArrayDeserializer.class,
        "value.deserializer", ByteArrayDeserializer.class);
    try (var consumer = new KafkaConsumer<byte[], byte[]>(config)) {
      Runtime.getRuntime().addShutdownHook(new Thread(consumer::wakeup));
      consumer.subscribe(List.of("callstream.calls"));
      while (true) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          if (record.value() != null) print(calls.decode(record.value()));
        }
      }
    } catch (WakeupException stopped) {
      // The process was told to end.
    }
  }

  private static void print(GenericRecord call) {
    if (!(boolean) call.get("final")) return;
    System.out.printf("%s\t%s\t%s\t%s\t%s%n", call.get("app_id"), call.get("call_id"), call.get("revision"), call.get("outcome"), call.get("talk_ms"));
  }

  /** Confluent's wire format: a zero byte, the schema id in four bytes, then Avro. */
  private GenericRecord decode(byte[] value) throws Exception {
    ByteBuffer frame = ByteBuffer.wrap(value);
    if (frame.get() != 0) throw new IllegalArgumentException("not a value in Confluent's wire format");
    int id = frame.getInt();
    GenericDatumReader<GenericRecord> reader = readers.get(id);
    if (reader == null) readers.put(id, reader = new GenericDatumReader<>(schema(id)));
    return reader.read(null, DecoderFactory.get().binaryDecoder(value, frame.position(), frame.remaining(), null));
  }

  private Schema schema(int id) throws Exception {
    var answer = http.send(HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build(), BodyHandlers.ofString());
    if (answer.statusCode() != 200) throw new IllegalStateException("the schema registry answers " + answer.statusCode() + " for schema " + id);
    return new Schema.Parser().parse(json.readTree(answer.body()).get("schema").asText());
  }

  private static String variable(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
