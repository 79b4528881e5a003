/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_POSTGRES_TESTING_H
#define IG_STORES_POSTGRES_TESTING_H

/* For tests: a real PostgreSQL in a temporary directory, on a unix socket there. The server refuses
 * to run as root, so as root it runs as the user that Debian's package makes. It dies with the
 * thread that started it. */

#include "stores/db_testing.h"
#include "stores/temp_testing.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum ig_postgres_mode {
    IG_POSTGRES_FAST,   /* nothing is synced: it keeps only what no crash of the machine takes */
    IG_POSTGRES_DURABLE /* as it is run */
};

struct ig_postgres {
    char dir[64]; /* holds data/ and the socket */
    char programs[128];
    enum ig_postgres_mode mode;
    pid_t pid; /* 0: PostgreSQL is not installed, or stopped */
    int log_fd;
};

/* In the child. */
static inline _Noreturn void ig_postgres_become(const struct ig_postgres *postgres,
                                                char *const arguments[])
{
    char path[192];
    struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (user && (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
                 setuid(user->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(postgres->log_fd, STDOUT_FILENO);
    dup2(postgres->log_fd, STDERR_FILENO);
    for (int fd = 3; fd < 256; fd++) close(fd);
    if (chdir(postgres->dir) != 0) _exit(126);
    snprintf(path, sizeof path, "%s/%s", postgres->programs, arguments[0]);
    execv(path, arguments);
    _exit(127);
}

static inline pid_t ig_postgres_spawn(const struct ig_postgres *postgres, char *const arguments[])
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) ig_postgres_become(postgres, arguments);
    return pid;
}

/* The newest that Debian has installed; false without one. */
static inline bool ig_postgres_find(struct ig_postgres *postgres)
{
    glob_t found;
    bool any = glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) == 0;
    if (any) {
        const char *path = found.gl_pathv[found.gl_pathc - 1];
        snprintf(postgres->programs, sizeof postgres->programs, "%.*s",
                 (int)(strrchr(path, '/') - path), path);
    }
    globfree(&found);
    return any && (geteuid() != 0 || getpwnam("postgres"));
}

static inline void ig_postgres_launch(struct ig_postgres *postgres)
{
    char data[80], socket[80];
    bool fast = postgres->mode == IG_POSTGRES_FAST;
    snprintf(data, sizeof data, "%s/data", postgres->dir);
    snprintf(socket, sizeof socket, "unix_socket_directories=%s", postgres->dir);
    postgres->pid = ig_postgres_spawn(
        postgres, (char *[]){"postgres", "-D", data, "-c", socket, "-c", "listen_addresses=", "-c",
                             fast ? "fsync=off" : "fsync=on", "-c",
                             fast ? "full_page_writes=off" : "full_page_writes=on", "-c",
                             "max_connections=400", "-c", "shared_buffers=16MB", "-c",
                             "log_min_messages=fatal", NULL});
}

/* Starts it over what is in the directory; returns once it takes connections. Behind kill -9 it
 * refuses to start while a process of the one before has not seen that yet. */
static inline void ig_postgres_run(struct ig_postgres *postgres)
{
    char path[96], line[512];
    snprintf(path, sizeof path, "%s/data/postmaster.pid", postgres->dir);
    unlink(path);
    ig_postgres_launch(postgres);
    for (int i = 0, starts = 1; i < 3000; i++) { /* the last line of the file is its state */
        char *found = NULL;
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file)) found = strstr(line, "ready");
        if (file) fclose(file);
        if (found) return;
        usleep(10000);
        if (waitpid(postgres->pid, NULL, WNOHANG) != postgres->pid) continue;
        if (starts++ == 20) break;
        usleep(100000);
        ig_postgres_launch(postgres);
    }
    fail_msg("PostgreSQL did not start: see %s/log", postgres->dir);
}

/* Leaves pid 0, and says so, where PostgreSQL is not installed. */
static inline void ig_postgres_start(struct ig_postgres *postgres, enum ig_postgres_mode mode)
{
    char path[80];
    int status = 0;
    *postgres = (struct ig_postgres){.mode = mode, .dir = "/tmp/ingot-test-pg-XXXXXX"};
    if (!ig_postgres_find(postgres)) {
        print_message("PostgreSQL is not installed (tools/setup test): its tests are skipped\n");
        return;
    }
    assert_non_null(mkdtemp(postgres->dir));
    snprintf(path, sizeof path, "%s/log", postgres->dir);
    postgres->log_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (user) assert_int_equal(chown(postgres->dir, user->pw_uid, user->pw_gid), 0);
    pid_t pid = ig_postgres_spawn(
        postgres, (char *[]){"initdb", "-D", "data", "-U", "ingot", "-A", "trust", "-N", "-E",
                             "UTF8", "--locale=C.UTF-8", "--no-instructions", NULL});
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0) fail_msg("initdb failed: see %s", path);
    ig_postgres_run(postgres);
}

/* SIGQUIT: as in a crash; SIGINT: as by an operator. */
static inline void ig_postgres_stop(struct ig_postgres *postgres, int signal_number)
{
    kill(postgres->pid, signal_number);
    waitpid(postgres->pid, NULL, 0);
    postgres->pid = 0;
}

static inline void ig_postgres_remove(struct ig_postgres *postgres)
{
    struct ig_err err = IG_ERR_INIT;
    if (!postgres->pid) return;
    ig_postgres_stop(postgres, SIGQUIT);
    close(postgres->log_fd);
    ig_dir_remove_tree(IG_FILE_CWD, postgres->dir, &err);
}

/* The URL of a schema for the directory at `path` alone. Static memory. */
static inline const char *ig_postgres_url(const struct ig_postgres *postgres, const char *path)
{
    char database[128];
    snprintf(database, sizeof database, "postgresql:///postgres?host=%s&user=ingot", postgres->dir);
    return ig_db_testing_url(database, path);
}

#endif
