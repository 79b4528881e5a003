/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/thread.h"
#include "base/thread_testing.h"
#include "services/deploy/decision_priv.h"
#include "stores/temp_testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct ig_decision_log *open_log(const struct ig_temp *temp, uint64_t segment_bytes,
                                        uint64_t total_bytes)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_decision_log *log = NULL;
    struct ig_decision_log_options options = {.dirfd = temp->fd,
                                              .rings = 2,
                                              .ring_records = 64,
                                              .segment_bytes = segment_bytes,
                                              .total_bytes = total_bytes,
                                              .flush_ms = 1};
    ASSERT_OK(ig_decision_log_open(&log, &options, &err));
    return log;
}

static struct ig_decision make(int64_t number)
{
    struct ig_decision decision = {.at_ms = number,
                                   .latency_ns = 1234567,
                                   .version = -number,
                                   .rows = 3,
                                   .status = 200,
                                   .flags = IG_DECISION_EXPLAINED,
                                   .flips = 2,
                                   .value = -1.5,
                                   .arms = IG_STR("root=b:0.25"),
                                   .propensity = 0.25,
                                   .request_id = IG_STR("r-1"),
                                   .deployment = IG_STR("d"),
                                   .model = IG_STR("income"),
                                   .principal = IG_STR("")};
    memset(decision.input_digest, 7, sizeof decision.input_digest);
    memset(decision.output_digest, 9, sizeof decision.output_digest);
    return decision;
}

struct seen {
    int64_t count, sum, stop_after;
};

static bool check(void *context, const struct ig_decision *decision)
{
    struct seen *seen = context;
    struct ig_decision expected = make(decision->at_ms);
    assert_int_equal(decision->version, expected.version);
    assert_int_equal(decision->latency_ns, expected.latency_ns);
    assert_int_equal(decision->rows, 3);
    assert_int_equal(decision->status, 200);
    assert_int_equal(decision->flags, expected.flags);
    assert_int_equal(decision->flips, 2);
    assert_true(decision->value == -1.5);
    assert_true(ig_str_is(decision->arms, "root=b:0.25"));
    assert_true(decision->propensity == 0.25);
    assert_memory_equal(decision->input_digest, expected.input_digest, IG_SHA256_BYTES);
    assert_memory_equal(decision->output_digest, expected.output_digest, IG_SHA256_BYTES);
    assert_true(ig_str_is(decision->request_id, "r-1"));
    assert_true(ig_str_is(decision->deployment, "d"));
    assert_true(ig_str_is(decision->model, "income"));
    assert_true(ig_str_is(decision->principal, ""));
    seen->count++;
    seen->sum += decision->at_ms;
    return seen->count != seen->stop_after;
}

static struct seen read_all(const struct ig_temp *temp, uint64_t *torn)
{
    struct ig_err err = IG_ERR_INIT;
    struct seen seen = {0};
    ASSERT_OK(ig_decision_log_read(temp->fd, check, &seen, torn, &err));
    return seen;
}

static void test_write_and_replay(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_decision_stats stats;
    struct seen seen = {.stop_after = 2};
    uint64_t torn = 9;
    (void)state;
    struct ig_decision_log *log = open_log(&temp, 0, 0);
    for (int64_t i = 1; i <= 10; i++) {
        struct ig_decision decision = make(i);
        assert_true(ig_decision_log_put(log, (unsigned)(i % 2), &decision));
    }
    ig_decision_log_flush(log);
    assert_int_equal(read_all(&temp, &torn).sum, 55); /* beside the running writer */
    assert_int_equal(torn, 0);
    ig_decision_log_stats(log, &stats);
    assert_int_equal(stats.accepted, 10);
    assert_int_equal(stats.written, 10);
    assert_int_equal(stats.dropped, 0);
    ig_decision_log_close(log);
    log = open_log(&temp, 0, 0); /* goes on in a new segment */
    struct ig_decision decision = make(100);
    assert_true(ig_decision_log_put(log, 0, &decision));
    ig_decision_log_close(log);
    assert_int_equal(read_all(&temp, &torn).sum, 155);
    ASSERT_OK(ig_decision_log_read(temp.fd, check, &seen, NULL, &err));
    assert_int_equal(seen.count, 2);
    ig_temp_remove(&temp);
}

static void test_full_ring_drops_and_counts(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_decision_stats stats;
    struct ig_decision decision = make(1);
    uint64_t torn, refused = 0;
    (void)state;
    struct ig_decision_log *log = open_log(&temp, 0, 0);
    for (int i = 0; i < 20000; i++) refused += !ig_decision_log_put(log, 0, &decision);
    ig_decision_log_flush(log);
    ig_decision_log_stats(log, &stats);
    assert_true(refused > 0);
    assert_int_equal(stats.dropped, refused);
    assert_int_equal(stats.accepted + stats.dropped, 20000);
    assert_int_equal(read_all(&temp, &torn).count, stats.accepted);
    ig_decision_log_close(log);
    ig_temp_remove(&temp);
}

static void test_long_texts_are_cut(void **state)
{
    unsigned char record[IG_DECISION_RECORD_MAX];
    char text[500];
    struct ig_decision decision = make(1), back;
    (void)state;
    memset(text, 'x', sizeof text);
    decision.request_id = decision.deployment = decision.model = decision.principal =
        decision.metric = decision.arms = (struct ig_str){text, sizeof text};
    size_t bytes = ig_decision_encode(record, &decision);
    assert_int_equal(bytes, IG_DECISION_RECORD_MAX);
    assert_true(ig_decision_decode(&back, record + 8, bytes - 8));
    assert_int_equal(back.principal.len, 128);
    assert_int_equal(back.arms.len, 255);
    for (size_t cut = 0; cut < bytes - 8; cut++) /* no shorter payload passes */
        assert_false(ig_decision_decode(&back, record + 8, cut));
}

static void test_rotation_and_removal(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    uint64_t torn, *numbers = NULL;
    size_t count = 0;
    int fd = -1;
    (void)state;
    struct ig_decision_log *log = open_log(&temp, 1000, 4000);
    for (int64_t i = 1; i <= 200; i++) {
        struct ig_decision decision = make(i);
        assert_true(ig_decision_log_put(log, 0, &decision));
        if (i % 5 == 0) ig_decision_log_flush(log);
    }
    ig_decision_log_close(log);
    ASSERT_OK(ig_dir_open(&fd, temp.fd, "decisions", &err));
    ASSERT_OK(ig_decision_segments(&numbers, &count, fd, &err));
    assert_int_equal(count, 4);
    assert_true(numbers[3] > 10);
    ig_free(numbers);
    ig_file_close(&fd);
    struct seen seen = read_all(&temp, &torn);
    assert_true(seen.count >= 10 && seen.count < 60); /* the newest remain */
    assert_int_equal(torn, 0);
    ig_temp_remove(&temp);
}

static void test_torn_and_damaged_ends(void **state)
{
    struct ig_temp temp = ig_temp_make();
    char path[160];
    struct stat info;
    uint64_t torn = 0;
    (void)state;
    struct ig_decision_log *log = open_log(&temp, 0, 0);
    for (int64_t i = 1; i <= 3; i++) {
        struct ig_decision decision = make(i);
        assert_true(ig_decision_log_put(log, 0, &decision));
    }
    ig_decision_log_close(log);
    snprintf(path, sizeof path, "%s/decisions/00000000000000000001.igd", temp.path);
    assert_int_equal(stat(path, &info), 0);
    off_t whole = info.st_size, record = (whole - 16) / 3;
    for (off_t cut = 1; cut < record; cut++) { /* wherever the last record was cut */
        assert_int_equal(truncate(path, whole - cut), 0);
        assert_int_equal(read_all(&temp, &torn).sum, 3);
        assert_int_equal(torn, 1);
    }
    assert_int_equal(truncate(path, whole - record), 0);
    assert_int_equal(read_all(&temp, &torn).sum, 3);
    assert_int_equal(torn, 0);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "!", 1, 16 + record + 20), 1);
    close(fd);
    assert_int_equal(read_all(&temp, &torn).sum, 1);
    assert_int_equal(torn, 1);
    ig_temp_remove(&temp);
}

struct producer {
    struct ig_decision_log *log;
    unsigned ring;
    uint64_t accepted;
};

static void *produce(void *context)
{
    struct producer *producer = context;
    for (int i = 0; i < 5000; i++) {
        struct ig_decision decision = make(i);
        producer->accepted += ig_decision_log_put(producer->log, producer->ring, &decision);
    }
    return NULL;
}

static void test_producers_beside_the_writer(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct producer producers[2];
    uint64_t threads[2], torn;
    (void)state;
    struct ig_decision_log *log = open_log(&temp, 50000, 0);
    for (unsigned i = 0; i < 2; i++) {
        producers[i] = (struct producer){log, i, 0};
        ASSERT_OK(ig_thread_start(&threads[i], "loop", produce, &producers[i], &err));
    }
    for (int i = 0; i < 2; i++) ig_thread_join(threads[i]);
    ig_decision_log_close(log);
    assert_int_equal(read_all(&temp, &torn).count, producers[0].accepted + producers[1].accepted);
    ig_temp_remove(&temp);
}

static _Noreturn void crash_child(const struct ig_temp *temp, int pipe)
{
    struct ig_decision_log *log = open_log(temp, 2000, 0);
    for (int64_t i = 1;; i++) {
        struct ig_decision decision = make(i);
        ig_decision_log_put(log, 0, &decision);
        ig_decision_log_flush(log);
        if (write(pipe, &i, sizeof i) != sizeof i) _exit(2);
    }
}

static void test_kill_keeps_what_was_flushed(void **state)
{
    struct ig_temp temp = ig_temp_make();
    int64_t total = 0, at;
    (void)state;
    for (int round = 0; round < 10; round++) {
        int ends[2], status;
        uint64_t torn;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) crash_child(&temp, ends[1]);
        close(ends[1]);
        usleep((useconds_t)(5000 + 2000 * round));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        while (read(ends[0], &at, sizeof at) == sizeof at) total++;
        close(ends[0]);
        int64_t found = read_all(&temp, &torn).count;
        assert_in_range(found, total, total + 1);
        total = found;
    }
    assert_true(total > 10);
    ig_temp_remove(&temp);
}

static void put_and_wait(struct ig_decision_log *log, int64_t number)
{
    struct ig_decision decision = make(number);
    struct ig_decision_stats stats = {0};
    assert_true(ig_decision_log_put(log, 0, &decision));
    for (int i = 0; i < 2000 && stats.written < (uint64_t)number; i++) {
        usleep(1000);
        ig_decision_log_stats(log, &stats);
    }
    assert_int_equal(stats.written, number);
}

/* The writer sleeps while nothing comes, and a record wakes it. */
static void test_sleeps_until_something_comes(void **state)
{
    struct ig_temp temp = ig_temp_make();
    uint64_t torn;
    (void)state;
    struct ig_decision_log *log = open_log(&temp, 0, 0);
    put_and_wait(log, 1);
    usleep(50 * 1000); /* the first is synced at once */
    long before = ig_thread_sleeps("decisions");
    usleep(100 * 1000);
    assert_true(before > 0);
    assert_int_equal(ig_thread_sleeps("decisions"), before);
    put_and_wait(log, 2);
    ig_decision_log_close(log);
    assert_int_equal(read_all(&temp, &torn).sum, 3);
    ig_temp_remove(&temp);
}

static void test_nth_allocation_fails(void **state)
{
    struct ig_temp temp = ig_temp_make();
    bool refused = true;
    (void)state;
    for (uint64_t n = 1; refused; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_decision_log *log = NULL;
        struct ig_decision_log_options options = {.dirfd = temp.fd, .rings = 2, .ring_records = 8};
        assert_true(n < 30);
        ig_mem_fail_after(n);
        enum ig_code code = ig_decision_log_open(&log, &options, &err);
        refused = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, refused ? IG_NO_MEMORY : IG_OK);
        ig_decision_log_close(log);
    }
    ig_temp_remove(&temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_replay),
        cmocka_unit_test(test_full_ring_drops_and_counts),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_rotation_and_removal),
        cmocka_unit_test(test_torn_and_damaged_ends),
        cmocka_unit_test(test_producers_beside_the_writer),
        cmocka_unit_test(test_kill_keeps_what_was_flushed),
        cmocka_unit_test(test_sleeps_until_something_comes),
        cmocka_unit_test(test_nth_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
