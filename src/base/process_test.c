/* SPDX-License-Identifier: Apache-2.0 */
/* Children are this very program, with what they are to do as the verb. */
#include "base/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void start(struct ig_process *out, const char *verb, int fd1)
{
    struct ig_err err = IG_ERR_INIT;
    const int fds[] = {0, fd1, 2};
    const struct ig_process_options options = {"/proc/self/exe", verb, fds, 3};
    assert_int_equal(ig_process_start(out, &options, &err), IG_OK);
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *end;
    } CASES[] = {
        {"status", "status 3"},
        {"abort", "signal 6 (Aborted)"},
        {"orphan", "status 1"},
        {"limits", "status 0"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct ig_process child;
        char how[64];
        start(&child, CASES[i].verb, 1);
        struct pollfd ended = {.fd = child.pidfd, .events = POLLIN};
        assert_int_equal(poll(&ended, 1, 20000), 1);
        ig_process_describe(how, sizeof how, ig_process_reap(&child));
        assert_string_equal(how, CASES[i].end);
        assert_int_equal(child.pidfd, -1);
    }
}

/* It has the descriptors that it was given and no other, and its own group dies with it. */
static void test_descriptors_and_group(void **state)
{
    (void)state;
    struct ig_process child;
    char how[64], text[64] = "";
    int ends[2], other = fcntl(0, F_DUPFD_CLOEXEC, 50);
    assert_int_equal(other, 50);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    start(&child, "wait", ends[1]);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    assert_ptr_equal(strstr(text, "open: 0 1 2"), text);
    assert_null(strstr(text, "50"));
    ig_process_kill(&child);
    ig_process_describe(how, sizeof how, ig_process_reap(&child));
    assert_string_equal(how, "signal 9 (Killed)");
    assert_int_equal(read(ends[0], text, sizeof text), 0); /* its own child is gone as well */
    close(ends[0]);
    close(other);
}

static void test_no_such_program(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_process child;
    const int fds[] = {0, 1, 2};
    const struct ig_process_options options = {"/nonexistent/program", "x", fds, 3};
    assert_int_equal(ig_process_start(&child, &options, &err), IG_IO);
    assert_non_null(strstr(err.message, "'/nonexistent/program' does not start: No such file"));
}

/* ---- as a child ---- */

static int tell_open(void)
{
    char text[64] = "open:";
    for (int fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0) snprintf(text + strlen(text), 16, " %d", fd);
    if (fork() == 0)
        for (;;) pause();
    if (write(1, text, strlen(text)) < 0) return 1;
    for (;;) pause();
}

/* Ends at once: a sanitizer's own memory counts as well. */
static int take_limits(struct ig_err *err)
{
    struct rlimit data, core, cpu;
    bool good = ig_process_no_core(err) == IG_OK && ig_process_limit_cpu(1000, err) == IG_OK &&
                ig_process_limit_memory((uint64_t)1 << 32, err) == IG_OK &&
                getrlimit(RLIMIT_DATA, &data) == 0 && getrlimit(RLIMIT_CORE, &core) == 0 &&
                getrlimit(RLIMIT_CPU, &cpu) == 0 && data.rlim_max == (rlim_t)1 << 32 &&
                core.rlim_max == 0 && cpu.rlim_max == 1000;
    _exit(good ? 0 : 2);
}

static int act(const char *verb, long parent)
{
    struct ig_err err = IG_ERR_INIT;
    bool orphan = strcmp(verb, "orphan") == 0;
    if (ig_process_die_with(orphan ? parent + 1 : parent, &err) != IG_OK)
        return err.code == IG_CANCELLED ? 1 : 99;
    if (strcmp(verb, "status") == 0) return 3;
    if (strcmp(verb, "abort") == 0) abort();
    if (strcmp(verb, "limits") == 0) return take_limits(&err);
    return tell_open();
}

int main(int argc, char **argv)
{
    int64_t parent = 0;
    if (argc == 3 && ig_str_to_i64(ig_str_view(argv[2]), &parent))
        return act(argv[1], (long)parent);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_descriptors_and_group),
        cmocka_unit_test(test_no_such_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
