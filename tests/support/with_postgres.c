/* SPDX-License-Identifier: Apache-2.0 */
/* with_postgres PROGRAM ARGUMENT...: runs it with a PostgreSQL of its own in INGOT_TEST_DATABASE.
 * Ends with its status; 77 where PostgreSQL is not installed. */
#include "stores/postgres_testing.h"

static int status;
static char **command;

static void run(void **state)
{
    struct ig_postgres postgres;
    char url[160];
    (void)state;
    ig_postgres_start(&postgres, IG_POSTGRES_FAST);
    if (!postgres.pid) {
        status = 77 << 8;
        return;
    }
    snprintf(url, sizeof url, "postgresql:///postgres?host=%s&user=ingot", postgres.dir);
    setenv("INGOT_TEST_DATABASE", url, 1);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    ig_postgres_remove(&postgres);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(run)};
    if (argc < 2) return 2;
    command = argv + 1;
    if (cmocka_run_group_tests(tests, NULL, NULL) != 0) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
