/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_CLI_H
#define IG_APP_CLI_H

/* The command line: verbs and their options come from commands.def, and so do parsing, `--help` and
 * error texts. Exit codes: 0 success, 1 failure, 2 wrong usage. Thread rule: main thread. */

#include "base/err.h"
#include "base/str.h"

enum { IG_EXIT_OK = 0, IG_EXIT_FAILURE = 1, IG_EXIT_USAGE = 2 };

enum ig_cli_kind {
    IG_CLI_FLAG,     /* no value */
    IG_CLI_TEXT,     /* one value; the last one given counts */
    IG_CLI_REQUIRED, /* as TEXT, and must be given */
    IG_CLI_LIST,     /* may be given several times */
    IG_CLI_COUNT,    /* an unsigned integer */
    IG_CLI_CHOICE,   /* one of the words of its value text: "csv|json" */
};

struct ig_cli_option {
    const char *name; /* without dashes */
    enum ig_cli_kind kind;
    const char *value;    /* name of the value in help; the words of a CHOICE */
    const char *fallback; /* default text, or NULL */
    const char *doc;
};

struct ig_cli;

struct ig_cli_command {
    const char *verb;     /* one or two words */
    const char *operands; /* "FILE", "" when none */
    int operands_count;
    const char *summary;
    const char *doc;
    const struct ig_cli_option *options;
    size_t options_count;
    int (*run)(const struct ig_cli *cli);
};

enum { IG_CLI_GIVEN_MAX = 128, IG_CLI_OPERANDS_MAX = 4 };

struct ig_cli {
    const struct ig_cli_command *command;
    struct {
        const struct ig_cli_option *option;
        const char *value;
    } given[IG_CLI_GIVEN_MAX];
    size_t given_count;
    const char *operands[IG_CLI_OPERANDS_MAX];
    int operands_count;
    const char *program; /* argv[0] */
};

/* Parses, runs the verb, returns the exit code. */
int ig_cli_main(int argc, char **argv);

/* Values by option name; the name must be one of the command's own. Borrowed from argv. */
const char *ig_cli_text(const struct ig_cli *cli, const char *name); /* or its default, or NULL */
bool ig_cli_flag(const struct ig_cli *cli, const char *name);
uint64_t ig_cli_count(const struct ig_cli *cli, const char *name); /* 0 without a default */
/* The index-th value of a LIST option; NULL behind the last. */
const char *ig_cli_item(const struct ig_cli *cli, const char *name, size_t index);
bool ig_cli_given(const struct ig_cli *cli, const char *name);

/* Print `ingot VERB: message` (and a hint line unless NULL) to stderr. */
int ig_cli_fail(const struct ig_cli *cli, const struct ig_err *err, const char *hint);
int ig_cli_usage(const struct ig_cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Flushes a stream; false (said on stderr) when anything written to it was lost. */
bool ig_cli_flush(const struct ig_cli *cli, void *stream);

#define IG_COMMAND(id, ...) int ig_cmd_##id(const struct ig_cli *cli);
#include "commands.def"
#undef IG_COMMAND

#endif
