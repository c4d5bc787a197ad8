import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Confluent's parallel-consumer: each event waits 0 to 5 ms and is answered; until killed.
 *  Arguments: servers, events topic, results topic, group, slots, folder for the mark of the first event. */
public class ParallelConsumer {
    private static final long LONGEST_NS = 5_000_000;
    private static final AtomicBoolean BEGAN = new AtomicBoolean();

    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0];
        String results = arguments[2];
        Path marks = Path.of(arguments[5]);
        var consumer = new KafkaConsumer<String, String>(
            Map.of("bootstrap.servers", servers, "group.id", arguments[3], "auto.offset.reset", "earliest",
                "enable.auto.commit", "false"),
            new StringDeserializer(), new StringDeserializer());
        var producer = new KafkaProducer<String, String>(
            Map.of("bootstrap.servers", servers, "acks", "all"), new StringSerializer(), new StringSerializer());
        var processor = ParallelStreamProcessor.createEosStreamProcessor(
            ParallelConsumerOptions.<String, String>builder()
                .ordering(ProcessingOrder.UNORDERED)
                .maxConcurrency(Integer.parseInt(arguments[4]))
                .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
                .consumer(consumer)
                .producer(producer)
                .build());
        processor.subscribe(List.of(arguments[1]));
        processor.pollAndProduce(context -> {
            if (BEGAN.compareAndSet(false, true)) {
                mark(marks);
            }
            LockSupport.parkNanos(ThreadLocalRandom.current().nextLong(LONGEST_NS));
            String id = context.key();
            return new ProducerRecord<>(results, id, "{\"correlation_id\":\"" + id + "\",\"status\":\"success\"}");
        });
        Thread.currentThread().join();
    }

    /** What benchmarks/marks.py writes: nanoTime is the monotonic clock that the reader uses. */
    private static void mark(Path folder) {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        String facts = String.format(java.util.Locale.ROOT, "{\"began\": %.6f, \"cpu_s\": %.6f}",
            System.nanoTime() / 1e9, system.getProcessCpuTime() / 1e9);
        try {
            Path unfinished = folder.resolve("java.new");
            Files.writeString(unfinished, facts);
            Path mark = folder.resolve(ProcessHandle.current().pid() + ".json");
            Files.move(unfinished, mark, StandardCopyOption.ATOMIC_MOVE);
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }
}
