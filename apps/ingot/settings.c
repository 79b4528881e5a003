/* SPDX-License-Identifier: Apache-2.0 */
/* Reads settings; knows none of them by name. */
#include "settings.h"

#include "base/file.h"
#include "base/yaml.h"
#include "stores/db.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum type { TEXT, URL, COUNT, FLAG };
enum { URL_SHOWN = 1024 };

static const struct setting {
    const char *name;
    enum type type;
    const char *standard;
    const char *doc;
    size_t offset;
} table[] = {
#define IG_SETTING(name, type, standard, doc)                                                      \
    {#name, type, standard, doc, offsetof(struct ig_settings, name)},
#include "settings.def"
#undef IG_SETTING
};

enum { SETTINGS = sizeof table / sizeof table[0] };

static const struct setting *find(struct ig_str name)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (ig_str_is(name, table[i].name)) return &table[i];
    return NULL;
}

/* `source` for the message: "--set", "INGOT_LISTEN", a file's name. */
static enum ig_code set(struct ig_settings *settings, const struct setting *setting,
                        struct ig_str value, const char *source, struct ig_err *err)
{
    void *out = (char *)settings + setting->offset;
    if (setting->type == TEXT || setting->type == URL) {
        char *copy = ig_arena_cstr(&settings->arena, value);
        if (!copy) return ig_fail(err, IG_NO_MEMORY, "no memory for the settings");
        *(const char **)out = copy;
        return IG_OK;
    }
    if (setting->type == COUNT) {
        if (ig_str_to_u64(value, out) && *(uint64_t *)out <= UINT32_MAX) return IG_OK;
        return ig_fail(err, IG_INVALID, "%s: %s: '%.*s' is not a whole number below 2^32", source,
                       setting->name, IG_STR_ARGS(value));
    }
    if (!ig_str_is(value, "true") && !ig_str_is(value, "false"))
        return ig_fail(err, IG_INVALID, "%s: %s: '%.*s' is neither true nor false", source,
                       setting->name, IG_STR_ARGS(value));
    *(bool *)out = ig_str_is(value, "true");
    return IG_OK;
}

static enum ig_code load_yaml(struct ig_settings *settings, const char *path, struct ig_err *err)
{
    const struct ig_yaml *root;
    struct ig_buf text;
    ig_buf_init(&text, 1 << 20);
    if (ig_file_read(&text, IG_FILE_CWD, path, err) != IG_OK) goto out;
    if (ig_yaml_parse(&root, ig_buf_view(&text), &settings->arena, err) != IG_OK) goto out;
    if (root->kind != IG_YAML_MAPPING) {
        ig_fail(err, IG_INVALID, "a mapping of settings was expected");
        goto out;
    }
    for (const struct ig_yaml *node = root->first; node; node = node->next) {
        const struct setting *setting = find(node->key);
        struct ig_str value;
        if (!setting) {
            ig_fail(err, IG_INVALID, "line %d: unknown setting '%.*s'", node->line,
                    IG_STR_ARGS(node->key));
            goto out;
        }
        if (ig_yaml_str(&value, node, setting->name, err) != IG_OK) goto out;
        if (set(settings, setting, value, "line", err) != IG_OK) goto out;
    }
out:
    if (err->code != IG_OK) ig_err_prefix(err, "--config: %s", path);
    ig_buf_deinit(&text);
    return err->code;
}

static enum ig_code load_environment(struct ig_settings *settings, struct ig_err *err)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        char name[64];
        int length = snprintf(name, sizeof name, "INGOT_%s", table[i].name);
        for (int k = 0; k < length; k++)
            if (name[k] >= 'a' && name[k] <= 'z') name[k] = (char)(name[k] - 32);
        const char *value = getenv(name);
        if (!value) continue;
        if (set(settings, &table[i], ig_str_view(value), name, err) != IG_OK) return err->code;
    }
    return IG_OK;
}

static enum ig_code load_flags(struct ig_settings *settings, const struct ig_cli *cli,
                               struct ig_err *err)
{
    static const char *const direct[] = {"data", "listen"};
    const char *item;
    char shown[URL_SHOWN];
    for (size_t i = 0; (item = ig_cli_item(cli, "set", i)); i++) {
        struct ig_str value = ig_str_view(item);
        struct ig_str name = ig_str_cut(&value, '=');
        const struct setting *setting = find(name);
        ig_db_url_redact(shown, sizeof shown, item); /* a mistyped name may stand before an URL */
        if (!setting || !value.ptr)
            return ig_fail(err, IG_INVALID, "--set: '%s' is not NAME=VALUE of a known setting%s",
                           shown, setting ? "" : " (`ingot server --settings` lists them)");
        if (set(settings, setting, value, "--set", err) != IG_OK) return err->code;
    }
    for (size_t i = 0; i < sizeof direct / sizeof direct[0]; i++) {
        item = ig_cli_text(cli, direct[i]);
        if (!item) continue;
        if (set(settings, find(ig_str_view(direct[i])), ig_str_view(item), direct[i], err) != IG_OK)
            return err->code;
    }
    return IG_OK;
}

enum ig_code ig_settings_load(struct ig_settings *settings, const struct ig_cli *cli,
                              struct ig_err *err)
{
    const char *config = ig_cli_text(cli, "config");
    *settings = (struct ig_settings){0};
    ig_arena_init(&settings->arena, 4096, 16 << 20);
    for (size_t i = 0; i < SETTINGS; i++)
        if (set(settings, &table[i], ig_str_view(table[i].standard), "default", err) != IG_OK)
            return err->code;
    if (config && load_yaml(settings, config, err) != IG_OK) return err->code;
    if (load_environment(settings, err) != IG_OK) return err->code;
    return load_flags(settings, cli, err);
}

void ig_settings_deinit(struct ig_settings *settings)
{
    ig_arena_deinit(&settings->arena);
}

static void print_url(const char *url)
{
    char shown[URL_SHOWN];
    ig_db_url_redact(shown, sizeof shown, url);
    printf("\"%s\"", shown);
}

void ig_settings_print(const struct ig_settings *settings)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        const void *value = (const char *)settings + table[i].offset;
        printf("%s: ", table[i].name);
        if (table[i].type == TEXT)
            printf("\"%s\"", *(const char *const *)value);
        else if (table[i].type == URL)
            print_url(*(const char *const *)value);
        else if (table[i].type == COUNT)
            printf("%llu", (unsigned long long)*(const uint64_t *)value);
        else
            printf("%s", *(const bool *)value ? "true" : "false");
        printf("  # %s\n", table[i].doc);
    }
}
