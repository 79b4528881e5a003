/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing and help from the table in commands.def. Nothing here knows a particular verb.
 * Invariant: a verb runs only with options of its own row, each with a value of its kind. */
#include "cli.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define IG_OPTION(name, kind, value, fallback, doc) {name, IG_CLI_##kind, value, fallback, doc},
#define IG_CLIENT_OPTIONS                                                                          \
    IG_OPTION("server", TEXT, "URL", NULL,                                                         \
              "the server (default: INGOT_SERVER, else http://127.0.0.1:8080)")                    \
    IG_OPTION("ca", TEXT, "FILE", NULL,                                                            \
              "CA certificates to trust with https (default: INGOT_CA, else the system's)")        \
    IG_OPTION("key-file", TEXT, "FILE", NULL, "file that holds the API key (or INGOT_API_KEY)")
#define IG_KEY_OPTIONS                                                                             \
    IG_OPTION("data", TEXT, "DIR", NULL, "data directory, when no server holds it")                \
    IG_CLIENT_OPTIONS
#define IG_ROW_OPTIONS_OF(need)                                                                    \
    IG_OPTION("model", need, "FILE|models:/NAME/ALIAS", NULL,                                      \
              "model file, package, a registered version by alias or number, or runs:/RUN/PATH")   \
    IG_OPTION("input", need, "CSV", NULL, "rows; - reads standard input")                          \
    IG_OPTION("output", TEXT, "FILE", NULL, "where to write (default: standard output)")           \
    IG_OPTION("no-header", FLAG, "", NULL,                                                         \
              "the CSV has no header: columns in the model's order (--drop 0 or f0 is the first)") \
    IG_OPTION("drop", LIST, "COLUMN", NULL, "column to ignore; may be repeated")                   \
    IG_OPTION("data", TEXT, "DIR", NULL, "data directory for models:/ while no server runs")       \
    IG_CLIENT_OPTIONS
#define IG_ROW_OPTIONS IG_ROW_OPTIONS_OF(REQUIRED)
#define IG_EDGE_LEAVES                                                                             \
    IG_OPTION("leaves", CHOICE, "exact|float32|int16|int8", "int16",                               \
              "of trees: how leaves are kept; integers are summed exactly")
#define IG_EDGE_CHOICE                                                                             \
    IG_EDGE_LEAVES                                                                                 \
    IG_OPTION("rounding", CHOICE, "model|single|double", "model",                                  \
              "of networks: as LiteRT rounds (single), or TensorFlow Lite Micro and CMSIS-NN")

#define IG_COMMAND(id, verb, operands, count, summary, doc, ...)                                   \
    static const struct ig_cli_option options_##id[] = {                                           \
        __VA_ARGS__ IG_OPTION("help", FLAG, "", NULL, "print this help")};
#include "commands.def"
#undef IG_COMMAND

static const struct ig_cli_command commands[] = {
#define IG_COMMAND(id, verb, operands, count, summary, doc, ...)                                   \
    {verb,                                                                                         \
     operands,                                                                                     \
     count,                                                                                        \
     summary,                                                                                      \
     doc,                                                                                          \
     options_##id,                                                                                 \
     sizeof options_##id / sizeof options_##id[0],                                                 \
     ig_cmd_##id},
#include "commands.def"
#undef IG_COMMAND
};

enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0], WIDTH = 80 };

/* Prints `text` wrapped at WIDTH, each line starting at column `indent`; the first one is there. */
static void print_wrapped(FILE *out, const char *text, size_t indent)
{
    size_t column = indent;
    struct ig_str rest = ig_str_view(text);
    while (rest.ptr) {
        struct ig_str word = ig_str_cut(&rest, ' ');
        if (column > indent && column + 1 + word.len > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", IG_STR_ARGS(word));
        column += word.len;
    }
    fputc('\n', out);
}

/* A text that is too long for its column stands on a line of its own. */
static void print_head(FILE *out, const char *head)
{
    if (strlen(head) > 24)
        fprintf(out, "  %s\n%28s", head, "");
    else
        fprintf(out, "  %-26s", head);
}

static void print_summary(FILE *out, const struct ig_cli_command *command)
{
    char head[80];
    snprintf(head, sizeof head, "%s%s%s", command->verb, *command->operands ? " " : "",
             command->operands);
    print_head(out, head);
    print_wrapped(out, command->summary, 28);
}

static void print_overview(FILE *out)
{
    fputs("ingot: train, register, deploy, explain and serve models\n\n"
          "usage: ingot VERB [OPTION...]\n\n",
          out);
    for (size_t i = 0; i < COMMANDS_COUNT; i++) print_summary(out, &commands[i]);
    fputs("\n`ingot VERB --help` explains a verb. Exit codes: 0 success, 1 failure, 2 usage.\n",
          out);
}

static void print_option(FILE *out, const struct ig_cli_option *option)
{
    char head[80];
    snprintf(head, sizeof head, "--%s%s%s", option->name, *option->value ? " " : "", option->value);
    print_head(out, head);
    char doc[512];
    const char *suffix = option->kind == IG_CLI_REQUIRED ? " (required)" : "";
    if (option->fallback && *option->fallback)
        snprintf(doc, sizeof doc, "%s (default %s)", option->doc, option->fallback);
    else
        snprintf(doc, sizeof doc, "%s%s", option->doc, suffix);
    print_wrapped(out, doc, 28);
}

static void print_command(FILE *out, const struct ig_cli_command *command)
{
    fprintf(out, "usage: ingot %s%s%s", command->verb, *command->operands ? " " : "",
            command->operands);
    for (size_t i = 0; i < command->options_count; i++)
        if (command->options[i].kind == IG_CLI_REQUIRED)
            fprintf(out, " --%s %s", command->options[i].name, command->options[i].value);
    fprintf(out, " [OPTION...]\n\n%s.\n", command->summary);
    if (*command->doc) print_wrapped(out, command->doc, 0);
    fputc('\n', out);
    for (size_t i = 0; i < command->options_count; i++) print_option(out, &command->options[i]);
}

static bool is_of_family(const struct ig_cli_command *command, const char *word)
{
    size_t length = strlen(word);
    return strncmp(command->verb, word, length) == 0 && command->verb[length] == ' ';
}

/* The verbs that begin with `word`; false when none does. */
static bool print_family(FILE *out, const char *word)
{
    bool any = false;
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (!is_of_family(&commands[i], word)) continue;
        if (!any) fprintf(out, "usage: ingot %s VERB [OPTION...]\n\n", word);
        print_summary(out, &commands[i]);
        any = true;
    }
    if (any) fprintf(out, "\n`ingot %s VERB --help` explains a verb.\n", word);
    return any;
}

/* The command whose words start argv[1..]; *words is how many. */
static const struct ig_cli_command *find_command(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        struct ig_str rest = ig_str_view(commands[i].verb);
        int at = 1;
        while (rest.ptr && at < argc && ig_str_is(ig_str_cut(&rest, ' '), argv[at])) at++;
        const char *space = strchr(commands[i].verb, ' ');
        *words = space ? 2 : 1;
        if (!rest.ptr && at == *words + 1) return &commands[i];
    }
    return NULL;
}

static const struct ig_cli_option *find_option(const struct ig_cli_command *command,
                                               struct ig_str name)
{
    for (size_t i = 0; i < command->options_count; i++)
        if (ig_str_is(name, command->options[i].name)) return &command->options[i];
    return NULL;
}

static bool is_choice(struct ig_str choices, const char *value)
{
    while (choices.ptr)
        if (ig_str_is(ig_str_cut(&choices, '|'), value)) return true;
    return false;
}

static bool value_is_valid(const struct ig_cli *cli, const struct ig_cli_option *option,
                           const char *value)
{
    uint64_t count;
    if (option->kind == IG_CLI_COUNT && !ig_str_to_u64(ig_str_view(value), &count)) {
        ig_cli_usage(cli, "--%s: '%s' is not a whole number", option->name, value);
        return false;
    }
    if (option->kind == IG_CLI_CHOICE && !is_choice(ig_str_view(option->value), value)) {
        ig_cli_usage(cli, "--%s: '%s' is not one of %s", option->name, value, option->value);
        return false;
    }
    return true;
}

/* One option at argv[*at]; moves *at behind it. */
static bool parse_option(struct ig_cli *cli, int argc, char **argv, int *at)
{
    struct ig_str rest = {argv[*at] + 2, strlen(argv[*at] + 2)};
    struct ig_str name = ig_str_cut(&rest, '=');
    const struct ig_cli_option *option = find_option(cli->command, name);
    if (!option) {
        ig_cli_usage(cli, "unknown option '--%.*s'", IG_STR_ARGS(name));
        return false;
    }
    const char *value = rest.ptr;
    (*at)++;
    if (option->kind == IG_CLI_FLAG && value) {
        ig_cli_usage(cli, "--%s takes no value, '%s' was given", option->name, value);
        return false;
    }
    if (option->kind != IG_CLI_FLAG && !value) {
        if (*at >= argc) {
            ig_cli_usage(cli, "--%s needs a value: %s", option->name, option->value);
            return false;
        }
        value = argv[(*at)++];
    }
    if (value && !value_is_valid(cli, option, value)) return false;
    if (cli->given_count == IG_CLI_GIVEN_MAX) {
        ig_cli_usage(cli, "more than %d options", IG_CLI_GIVEN_MAX);
        return false;
    }
    cli->given[cli->given_count].option = option;
    cli->given[cli->given_count++].value = value;
    return true;
}

static bool parse(struct ig_cli *cli, int argc, char **argv, int at)
{
    bool options_over = false;
    while (at < argc) {
        if (!options_over && strcmp(argv[at], "--") == 0) {
            options_over = true;
            at++;
        } else if (!options_over && strncmp(argv[at], "--", 2) == 0) {
            if (!parse_option(cli, argc, argv, &at)) return false;
        } else if (!options_over && argv[at][0] == '-' && argv[at][1]) {
            ig_cli_usage(cli, "unknown option '%s'; options have two dashes", argv[at]);
            return false;
        } else if (cli->operands_count >= cli->command->operands_count) {
            ig_cli_usage(cli, "unexpected argument '%s'", argv[at]);
            return false;
        } else {
            cli->operands[cli->operands_count++] = argv[at++];
        }
    }
    return true;
}

static bool is_complete(const struct ig_cli *cli)
{
    for (size_t i = 0; i < cli->command->options_count; i++) {
        const struct ig_cli_option *option = &cli->command->options[i];
        if (option->kind != IG_CLI_REQUIRED || ig_cli_given(cli, option->name)) continue;
        ig_cli_usage(cli, "--%s %s is required", option->name, option->value);
        return false;
    }
    if (cli->operands_count < cli->command->operands_count) {
        ig_cli_usage(cli, "expected %s", cli->command->operands);
        return false;
    }
    return true;
}

static int run_without_command(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_overview(stdout);
        return IG_EXIT_OK;
    }
    if (strcmp(word, "--version") == 0) {
        puts("ingot " INGOT_VERSION);
        return IG_EXIT_OK;
    }
    const char *second = argc > 2 ? argv[2] : "";
    if (strcmp(second, "--help") == 0 && print_family(stdout, word)) return IG_EXIT_OK;
    bool is_family = false;
    for (size_t i = 0; i < COMMANDS_COUNT; i++) is_family |= is_of_family(&commands[i], word);
    if (!*word)
        print_overview(stderr);
    else if (is_family && *second)
        fprintf(stderr, "ingot: unknown verb '%s %s'; `ingot %s --help` lists the verbs\n", word,
                second, word);
    else if (!print_family(stderr, word))
        fprintf(stderr, "ingot: unknown verb '%s'; `ingot --help` lists the verbs\n", word);
    return IG_EXIT_USAGE;
}

int ig_cli_main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    int words;
    struct ig_cli cli = {.command = find_command(argc, argv, &words),
                         .program = argc > 0 ? argv[0] : ""};
    if (!cli.command) return run_without_command(argc, argv);
    for (int i = words + 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") != 0) continue;
        print_command(stdout, cli.command);
        return IG_EXIT_OK;
    }
    if (!parse(&cli, argc, argv, words + 1) || !is_complete(&cli)) return IG_EXIT_USAGE;
    return cli.command->run(&cli);
}

const char *ig_cli_item(const struct ig_cli *cli, const char *name, size_t index)
{
    for (size_t i = 0; i < cli->given_count; i++) {
        if (strcmp(cli->given[i].option->name, name) != 0) continue;
        if (index-- == 0) return cli->given[i].value ? cli->given[i].value : "";
    }
    return NULL;
}

bool ig_cli_given(const struct ig_cli *cli, const char *name)
{
    return ig_cli_item(cli, name, 0) != NULL;
}

const char *ig_cli_text(const struct ig_cli *cli, const char *name)
{
    const struct ig_cli_option *option = find_option(cli->command, ig_str_view(name));
    IG_ASSERT(option);
    const char *last = option->fallback;
    for (size_t i = 0; i < cli->given_count; i++)
        if (cli->given[i].option == option) last = cli->given[i].value;
    return last;
}

bool ig_cli_flag(const struct ig_cli *cli, const char *name)
{
    IG_ASSERT(find_option(cli->command, ig_str_view(name)));
    return ig_cli_given(cli, name);
}

uint64_t ig_cli_count(const struct ig_cli *cli, const char *name)
{
    uint64_t count = 0;
    ig_str_to_u64(ig_str_view(ig_cli_text(cli, name)), &count);
    return count;
}

int ig_cli_fail(const struct ig_cli *cli, const struct ig_err *err, const char *hint)
{
    fflush(stdout);
    fprintf(stderr, "ingot %s: %s", cli->command->verb, err->message);
    if (err->at_byte >= 0) fprintf(stderr, " (at byte %lld)", (long long)err->at_byte);
    fputc('\n', stderr);
    if (hint) fprintf(stderr, "hint: %s\n", hint);
    return IG_EXIT_FAILURE;
}

int ig_cli_usage(const struct ig_cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "ingot %s: ", cli->command->verb);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nhint: `ingot %s --help` lists the options\n", cli->command->verb);
    va_end(args);
    return IG_EXIT_USAGE;
}

bool ig_cli_flush(const struct ig_cli *cli, void *stream)
{
    FILE *file = stream;
    if (fflush(file) == 0 && !ferror(file)) return true;
    fprintf(stderr, "ingot %s: cannot write the output\n", cli->command->verb);
    return false;
}
