/* SPDX-License-Identifier: Apache-2.0 */
/* What the JSON reader takes and refuses, by the categories of the public suites, in bytes of our
 * own; and any such suite itself, from the directory that INGOT_JSON_SUITE names. Where RFC 8259
 * leaves the choice: numbers of any size are read (as text), lone surrogates and bad UTF-8 are
 * refused, a byte order mark is refused, depth ends at 128. */
#include "base/file.h"
#include "base/json.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
    struct ig_arena arena;
    struct ig_err err;
    struct ig_json json;
};

static bool accepts(struct run *run, struct ig_str text)
{
    ig_arena_init(&run->arena, 1024, 1 << 20);
    run->err = IG_ERR_INIT;
    ig_json_init(&run->json, text, &run->arena, &run->err);
    enum ig_json_event event;
    do event = ig_json_next(&run->json);
    while (event != IG_JSON_END && event != IG_JSON_ERROR);
    ig_arena_deinit(&run->arena);
    return event == IG_JSON_END;
}

static const char *const accepted[] = {
    "null",
    " true ",
    "false",
    "0",
    "-0",
    "-1.5e+3",
    "1E5",
    "1e-400",
    "1e999",
    "123456789012345678901234567890",
    "\"\"",
    "\"a\"",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\\/\\\\\\\"\\b\\f\\n\\r\\t\"",
    "\"\xC3\xA4\xF0\x9F\x98\x80\"",
    "\"\x7F\"",
    "[]",
    "[ ]",
    "{}",
    "[[],{}]",
    "[1,2,3]",
    "{\"a\":1}",
    "{\"a\":1,\"a\":2}",
    "{\"\":0}",
    "\t\n\r [\n1 ,\t2 ]\n",
    "[null,true,false]",
    "\"\\uFFFF\"",
    "\"\xEF\xBF\xBF\"",
    "[-1]",
    "[0e1]",
    "[0.1]",
    "[[1],[[]], [{}]]",
    "[\"a\" , 2.5, null,{\"k\":[]}]",
    " [7]",
    "[7]\n",
    "[7 ]",
    "[1\n,2]",
    "[null,null,null,4]",
    "[12e3]",
    "[0e+7]",
    "[ 8]",
    "[-0.000000000000000000000000000000000000000000000000000000000000000000000001]",
    "[30e2]",
    "[-7]",
    "[-0]",
    "[2E11]",
    "[2E-3]",
    "[2E+3]",
    "[45.6e7]",
    "[4.5e-11]",
    "[9e3]",
    "[71.25]",
    "{\"a\":\"b\",\"c\":\"d\"}",
    "{\"a\":\"b\",\"a\":\"b\"}",
    "{\"\":1}",
    "{\"x\\u0000y\":1}",
    "{\"least\":-1.0e+28,\"most\":1.0e+28}",
    "{\"long\":[{\"id\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}]}",
    "{\"t\":\"\\u041f\\u043e\"}",
    "{\n\"a\": \"b\"\n}",
    "[\"\\u0061\\u030a\\u12aB\"]",
    "[\"\\uD801\\udc37\"]",
    "[\"\\ud83e\\udd80\\ud83d\\udc0c\"]",
    "[\"\\\\u0000\"]",
    "[\"\\\"\"]",
    "[\"no /* comment */ // here\"]",
    "[\"\\\\a\"]",
    "[\"\\\\n\"]",
    "[\"\\u0012\"]",
    "[\"\\uFFFE\"]",
    "[\"z\"]",
    "[ \"z\"]",
    "[\"\\uDBFF\\uDFFF\"]",
    "[\"new\\u00A0line\"]",
    "[\"\xF4\x8F\xBF\xBF\"]",
    "[\"\xEF\xBF\xBF\"]",
    "[\"\xF0\x9B\xBF\xBF\"]",
    "[\"\\u0000\"]",
    "[\"\\u002c\"]",
    "[\"\xCF\x80\"]",
    "[\" \"]",
    "[\"\\uD834\\uDd1e\"]",
    "[\"\\u0821\"]",
    "[\"\\u0123\"]",
    "[\"\xE2\x80\xA8\"]",
    "[\"\xE2\x80\xA9\"]",
    "[\"\\u0061\\u30af\\u30EA\"]",
    "[\"new\\u000Aline\"]",
    "[\"\x7F\"]",
    "[\"\\uA66D\"]",
    "[\"\\u005C\"]",
    "[\"\xE6\x97\xA5\xE6\x9C\xAC\"]",
    "[\"\\uDBFF\\uDFFE\"]",
    "[\"\\uD83F\\uDFFE\"]",
    "[\"\\u200B\"]",
    "[\"\\u2064\"]",
    "[\"\\uFDD0\"]",
    "[\"\\u0022\"]",
    "[\"\xE2\x82\xAC\xF0\x9D\x84\x9E\"]",
    "[\"a\177a\"]",
    " null ",
    "42",
    "-0.5",
    "\"asd\"",
    " \"\"",
    "true\n",
    " [] ",
    "[1.5e0007777777777777777777777777777777777777777999]",
    "[77e123456]",
    "[-1e+9999]",
    "[1.5e+9999]",
    "[-77e123456]",
    "[123e-10000000]",
    "[-98765432109876543210987654321]",
    "[100000000000000000000]",
};

static const char *const refused[] = {
    "",
    " ",
    "nul",
    "True",
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "-",
    "-a",
    "+1",
    "1.",
    ".5",
    "1e",
    "1e+",
    "0x1",
    "1_0",
    "\"",
    "\"\\",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\uD800\"",
    "\"\\uDC00\"",
    "\"\\uD800\\u0041\"",
    "\"\\ud800\\",
    "\"a\nb\"",
    "\"\x80\"",
    "\"\xC0\xAF\"",
    "\"\xED\xA0\x80\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xE2\x82\"",
    "'a'",
    "a",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1,,2]",
    "{",
    "}",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{a:1}",
    "{1:1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{,}",
    "[}",
    "{]",
    "[1]2",
    "1 2",
    "nullx",
    "\xEF\xBB\xBFnull",
    "// c\n1",
    "/*c*/1",
    "[\"a\"",
    "{\"a\":[}",
    "1\f",
    "\x0B",
    "[\x00]",
    "{\"a\":'b'}",
    "[--1]",
    "[1.2.3]",
    "\"\\u00G0\"",
    "\"\\U0041\"",
    "[1 true]",
    "[a\xE5]",
    "[\"\": 1]",
    "[\"\"],",
    "[,4]",
    "[1,,4]",
    "[\"x\",,]",
    "[\"x\"]]",
    "[\"\",]",
    "[\"x\"",
    "[x",
    "[3[4]]",
    "[\xFF]",
    "[1;2]",
    "[,]",
    "[-]",
    "[   , \"\"]",
    "[\"a\",\n4\n,1,",
    "[1,]",
    "[1,,]",
    "[\"\013a\"\\f]",
    "[*]",
    "[\"\"",
    "[1,\n1\n,1",
    "[{}",
    "[fals]",
    "[nul]",
    "[tru]",
    "123\x0C",
    "[++12]",
    "[+3]",
    "[+Inf]",
    "[-03]",
    "[-1.0.]",
    "[-2.]",
    "[-NaN]",
    "[.-1]",
    "[.2e-3]",
    "[0.1.2]",
    "[0.3e+]",
    "[0.3e]",
    "[0.e1]",
    "[0E+]",
    "[0E]",
    "[0e+]",
    "[0e]",
    "[1.0e+]",
    "[1.0e-]",
    "[1.0e]",
    "[1 000.0]",
    "[1eE2]",
    "[2.e+3]",
    "[2.e-3]",
    "[2.e3]",
    "[9.e+]",
    "[Inf]",
    "[\xEF\xBC\x91]",
    "[1+2]",
    "[0x1]",
    "[0x42]",
    "[Infinity]",
    "[0e+-1]",
    "[-123.123foo]",
    "[123\xE5]",
    "[1e1\xE5]",
    "[0\xE5]\n",
    "[-Infinity]",
    "[-foo]",
    "[- 1]",
    "[-012]",
    "[-.123]",
    "[-1x]",
    "[1ea]",
    "[1e\xE5]",
    "[1.]",
    "[.123]",
    "[1.2a-3]",
    "[2.75H-30]",
    "[012]",
    "[\"x\", truth]",
    "{[: \"x\"}\n",
    "{\"x\", null}",
    "{\"x\"::\"b\"}",
    "{\xF0\x9F\x87\xA8\xF0\x9F\x87\xAD}",
    "{\"a\":\"a\" 123}",
    "{key: 'value'}",
    "{\"\xB9\":\"0\",}",
    "{\"a\" b}",
    "{:\"b\"}",
    "{\"a\" \"b\"}",
    "{\"a\":",
    "{\"a\"",
    "{1:1}",
    "{77E77:2}",
    "{true:1,null:2}",
    "{\"n\":5,,,}",
    "{'a':0}",
    "{\"id\":0,}",
    "{\"a\":\"b\"}/**/",
    "{\"a\":\"b\"}/**//",
    "{\"a\":\"b\"}//",
    "{\"a\":\"b\"}/",
    "{\"a\":\"b\",,\"c\":\"d\"}",
    "{a: \"b\"}",
    "{\"a\":\"a",
    "{ \"p\" : \"q\", \"r\" }",
    "{\"a\":\"b\"}#",
    "  ",
    "[\"\\uD801\\\"]",
    "[\"\\uD801\\u\"]",
    "[\"\\uD801\\u1\"]",
    "[\"\\uD801\\u1x\"]",
    "[\xC3\xA9]",
    "[\"\\\"]",
    "[\"\\x01\"]",
    "[\"\\\\\\\"]",
    "[\"\\\t\"]",
    "[\"\\\xF0\x9F\x8C\x80\"]",
    "[\"\\\"]",
    "[\"\\u00A\"]",
    "[\"\\uD834\\uDd\"]",
    "[\"\\uD801\\uD801\\x\"]",
    "[\"\\u\xE5\"]",
    "[\"\\a\"]",
    "[\"\\uqqqq\"]",
    "[\"\\\xE5\"]",
    "[\\u0020\"abc\"]",
    "[\\n]",
    "\"",
    "['single']",
    "abc",
    "[\"\\",
    "[\"a\001a\"]",
    "[\"new\nline\"]",
    "[\"\t\"]",
    "\"\\UA66D\"",
    "\"\"x",
    "[\"\xE0\xFF\"]",
    "[\"\xED\xA0\x80\"]",
    "[\"\xE9\"]",
    "[\"\x81\"]",
    "[\"\xF4\xBF\xBF\xBF\"]",
    "[\"\xC0\xAF\"]",
    "[\"\xFC\x83\xBF\xBF\xBF\xBF\"]",
    "[\"\xFC\x80\x80\x80\x80\x80\"]",
    "[\"\xE0\xFF\"]",
    "[\"\\uDADA\"]",
    "[\"\\ud888\\u1234\"]",
    "[\"\\uD800\\n\"]",
    "[\"\\uDd1ea\"]",
    "[\"\\uD800\\uD800\\n\"]",
    "[\"\\ud800abc\"]",
    "[\"\\uDd1e\\uD834\"]",
    "[\"\\uDFAA\"]",
    "{\"\\uDFAA\":0}",
    "[\"\xF0\x80\x80\x80\"]",
    "\xFF\xFE[",
    "\xEF\xBB\xBF{}",
    "\xEF\xBB\xBF",
    "\xEF\xBB{}",
    "[\xE2\x81\xA0]",
    "<.>",
    "[<null>]",
    "[1]x",
    "[1]]",
    "[\"asd]",
    "a\xC3\xA5",
    "[True]",
    "1]",
    "{\"x\": true,",
    "[][]",
    "]",
    "\xE5",
    "[",
    "2@",
    "{}}",
    "{\"\":",
    "{\"a\":/*comment*/\"b\"}",
    "{\"a\": true} \"x\"",
    "['",
    "[,",
    "[{",
    "[\"a",
    "[\"a\"",
    "{",
    "{]",
    "{,",
    "{[",
    "{\"a",
    "{'a'",
    "{\"k\":[\\{\"",
    "\xC3\xA9",
    "*",
    "{\"a\":\"b\"}#{}",
    "[\\u000A\"\"]",
    "[1",
    "[ false, nul",
    "[ true, fals",
    "[ false, tru",
    "{\"asd\":\"asd\"",
    "\xC3\xA5",
    "\xE2\x81\xA0",
    "[\x0C]",
};

static void test_conformance(void **state)
{
    (void)state;
    struct run run;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
        if (!accepts(&run, ig_str_view(accepted[i])))
            fail_msg("refused %s: %s", accepted[i], run.err.message);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (accepts(&run, ig_str_view(refused[i]))) fail_msg("accepted %s", refused[i]);
        assert_int_equal(run.err.code, IG_PARSE);
        assert_in_range(run.err.at_byte, 0, strlen(refused[i]));
    }
    assert_false(accepts(&run, (struct ig_str){"1\0", 2}));
    assert_false(accepts(&run, (struct ig_str){"\"\0\"", 3}));
    assert_false(accepts(&run, (struct ig_str){"[\"\\\0\"]", 6}));
    assert_false(accepts(&run, (struct ig_str){"[\0\"\0]\0", 6}));
    assert_false(accepts(&run, (struct ig_str){"\0[\0]", 4}));
}

/* A public conformance suite's directory of y_*, n_* and i_* files, where the environment names
 * one. */
static void test_public_suite(void **state)
{
    (void)state;
    const char *path = getenv("INGOT_JSON_SUITE");
    DIR *dir = path ? opendir(path) : NULL;
    if (!dir) skip();
    struct run run;
    struct ig_buf buf;
    ig_buf_init(&buf, 1 << 22);
    unsigned seen = 0, taken = 0, denied = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        struct ig_err err = IG_ERR_INIT;
        if (entry->d_name[0] == '.' || ig_file_read(&buf, IG_FILE_CWD, name, &err) != IG_OK)
            continue;
        bool ok = accepts(&run, ig_buf_view(&buf));
        seen++;
        taken += entry->d_name[0] == 'y' && ok;
        denied += entry->d_name[0] == 'n' && !ok;
        if (entry->d_name[0] == 'y' && !ok) fail_msg("refused %s", entry->d_name);
        if (entry->d_name[0] == 'n' && ok) fail_msg("accepted %s", entry->d_name);
    }
    closedir(dir);
    ig_buf_deinit(&buf);
    print_message("%u accepted of y_, %u refused of n_, %u files\n", taken, denied, seen);
    assert_true(seen > 0);
}

static void test_deep_nesting_is_refused_without_recursion(void **state)
{
    (void)state;
    enum { SIZE = 500000 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    struct run run;
    memset(text, '[', SIZE);
    assert_false(accepts(&run, (struct ig_str){text, SIZE}));
    assert_int_equal(run.err.at_byte, IG_JSON_DEPTH_MAX);
    for (size_t i = 0; i + 5 <= SIZE; i += 5) memcpy(text + i, "[{\"\":", 5);
    assert_false(accepts(&run, (struct ig_str){text, SIZE}));
    memset(text, '[', 500);
    memset(text + 500, ']', 500);
    assert_false(accepts(&run, (struct ig_str){text, 1000}));
    memset(text + IG_JSON_DEPTH_MAX, ']', IG_JSON_DEPTH_MAX);
    assert_true(accepts(&run, (struct ig_str){text, 2 * (size_t)IG_JSON_DEPTH_MAX}));
    free(text);
}

/* Every prefix of a document is refused, but for those that end in white space behind it. */
static void test_prefixes_are_refused(void **state)
{
    (void)state;
    const struct ig_str whole =
        IG_STR("{\"a\":[1.5e+3,-0,true,false,null,\"\\ud83d\\ude00\\n\"]} ");
    struct run run;
    for (size_t i = 0; i + 1 < whole.len; i++)
        assert_false(accepts(&run, (struct ig_str){whole.ptr, i}));
    assert_true(accepts(&run, (struct ig_str){whole.ptr, whole.len - 1}));
    assert_true(accepts(&run, whole));
}

/* Each byte at each place of a word of eight, so that the reader by words misses none. */
static void test_every_byte_in_strings(void **state)
{
    (void)state;
    struct run run;
    for (int byte = 0; byte < 256; byte++) {
        for (size_t at = 1; at < 20; at++) {
            char text[21];
            memset(text, 'a', sizeof text);
            text[0] = text[sizeof text - 1] = '"';
            text[at] = (char)byte;
            bool fine = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            assert_int_equal(accepts(&run, (struct ig_str){text, sizeof text}), fine);
            if (!fine && byte < 0x20) assert_int_equal(run.err.at_byte, at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_deep_nesting_is_refused_without_recursion),
        cmocka_unit_test(test_prefixes_are_refused),
        cmocka_unit_test(test_every_byte_in_strings),
        cmocka_unit_test(test_public_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
