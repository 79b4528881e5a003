/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines in both forms. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What `write_line` puts on stderr. */
static char *captured(void (*write_line)(void))
{
    static char text[20000];
    int pipes[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    dup2(pipes[1], STDERR_FILENO);
    write_line();
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipes[1]);
    ssize_t got = read(pipes[0], text, sizeof text - 1);
    close(pipes[0]);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void plain(void)
{
    ig_log(IG_LOG_INFO, "deployed", IG_LOG_C("model", "income"), IG_LOG_I("version", 3),
           IG_LOG_F("auc", 0.5), IG_LOG_C("bad", "a b\n2026 INFO forged"));
}

static void quiet(void)
{
    ig_log(IG_LOG_DEBUG, "hidden", IG_LOG_I("x", 1));
}

static void failure(void)
{
    struct ig_err err = IG_ERR_INIT;
    ig_fail(&err, IG_IO, "disk gone");
    ig_log_err(IG_LOG_ERROR, "write failed", &err);
}

static char endless[40000];

static void oversized(void)
{
    ig_log(IG_LOG_INFO, "big", IG_LOG_C("text", endless));
}

static void test_text(void **state)
{
    (void)state;
    ig_log_setup(IG_LOG_INFO, false);
    char *line = captured(plain);
    assert_non_null(strstr(
        line, "Z INFO deployed model=income version=3 auc=0.5 bad=\"a b\\n2026 INFO forged\"\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_string_equal(captured(quiet), "");
    assert_non_null(strstr(captured(failure), "code=IO message=\"disk gone\""));
}

static void test_json(void **state)
{
    (void)state;
    ig_log_setup(IG_LOG_DEBUG, true);
    char *line = captured(plain);
    assert_non_null(
        strstr(line, "\"level\":\"INFO\",\"event\":\"deployed\",\"model\":\"income\",\"version\":3,"
                     "\"auc\":0.5,\"bad\":\"a b\\n2026 INFO forged\"}\n"));
    assert_non_null(strstr(captured(quiet), "hidden"));
}

static void hostile(void)
{
    ig_log(IG_LOG_WARN, "login",
           IG_LOG_C("user", "a\x1b[2J\r\n\x7f\xC2\x9B"
                            "1m\xC2\x85\xC3\xA4\xFF"),
           IG_LOG_C("empty", ""), IG_LOG_F("ratio", (double)NAN));
}

static void endless_fields(void)
{
    ig_log(IG_LOG_INFO, "big", IG_LOG_C("a", endless), IG_LOG_C("b", endless),
           IG_LOG_C("c", endless), IG_LOG_C("d", endless), IG_LOG_C("e", endless));
}

static void test_nothing_forges_a_line(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        ig_log_setup(IG_LOG_INFO, json);
        char *line = captured(hostile);
        assert_non_null(strstr(line, "\"a\\u001b[2J\\r\\n???1m??\xC3\xA4\xEF\xBF\xBD\""));
        for (char *p = line; *p; p++) assert_true((unsigned char)*p >= 0x20 || !p[1]);
        assert_non_null(
            strstr(line, json ? "\"empty\":\"\",\"ratio\":null}" : "empty=\"\" ratio=null"));
    }
}

/* However long, a line is one line, and one JSON object. */
static void test_long_lines_stay_whole(void **state)
{
    (void)state;
    memset(endless, '\n', sizeof endless - 1);
    ig_log_setup(IG_LOG_INFO, true);
    char *line = captured(oversized);
    assert_non_null(strstr(line, "\"event\":\"big\",\"text\":\"\\n\\n"));
    assert_string_equal(line + strlen(line) - 3, "\"}\n");
    line = captured(endless_fields);
    assert_non_null(strstr(line, "\"event\":\"big\",\"cut\":\"the fields exceed a log line\"}\n"));
    ig_mem_fail_after(1);
    line = captured(plain);
    ig_mem_fail_after(0);
    assert_string_equal(line, "");
}

static void test_levels_and_caps(void **state)
{
    (void)state;
    enum ig_log_level level = IG_LOG_INFO;
    assert_true(ig_log_level_parse(IG_STR("warn"), &level));
    assert_int_equal(level, IG_LOG_WARN);
    assert_false(ig_log_level_parse(IG_STR("loud"), &level));
    ig_log_setup(IG_LOG_INFO, false);
    memset(endless, 'x', sizeof endless - 1);
    char *line = captured(oversized);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_true(strlen(line) <= 16385);
}

static void three(void)
{
    ig_log(IG_LOG_DEBUG, "one", IG_LOG_I("x", 1));
    ig_log(IG_LOG_INFO, "two", IG_LOG_I("x", 2));
    ig_log(IG_LOG_ERROR, "three", IG_LOG_I("x", 3));
}

/* Each level by itself, whatever stands below or above it. */
static void test_levels_alone(void **state)
{
    (void)state;
    ig_log_setup(IG_LOG_WARN, false);
    assert_false(ig_log_is_on(IG_LOG_INFO));
    ig_log_enable(IG_LOG_DEBUG, true);
    ig_log_enable(IG_LOG_ERROR, false);
    const char *text = captured(three);
    assert_non_null(strstr(text, "DEBUG one x=1"));
    assert_null(strstr(text, "two"));
    assert_null(strstr(text, "three"));
    assert_true(ig_log_is_on(IG_LOG_DEBUG) && ig_log_is_on(IG_LOG_WARN));
    ig_log_enable(IG_LOG_ERROR, true);
    ig_log_enable(IG_LOG_DEBUG, false);
    assert_true(ig_log_is_on(IG_LOG_ERROR) && !ig_log_is_on(IG_LOG_DEBUG));
    ig_log_setup(IG_LOG_INFO, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_alone),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_levels_and_caps),
        cmocka_unit_test(test_nothing_forges_a_line),
        cmocka_unit_test(test_long_lines_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
