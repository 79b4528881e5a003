/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_SETTINGS_H
#define IG_APP_SETTINGS_H

/* The server's settings: the table settings.def filled from its defaults, a YAML file, the
 * environment and the command line, each going over the one before. */

#include "cli.h"

#include "base/arena.h"

#define IG_SETTING_C_TEXT const char *
#define IG_SETTING_C_URL const char *
#define IG_SETTING_C_COUNT uint64_t
#define IG_SETTING_C_FLAG bool

struct ig_settings {
    struct ig_arena arena; /* owns the texts */
#define IG_SETTING(name, type, standard, doc) IG_SETTING_C_##type name;
#include "settings.def"
#undef IG_SETTING
};

/* Errors name the setting, its source and what was expected. Deinit also after a failure. */
enum ig_code ig_settings_load(struct ig_settings *settings, const struct ig_cli *cli,
                              struct ig_err *err);
void ig_settings_deinit(struct ig_settings *settings);
/* The table as text, for `ingot server --settings`. */
void ig_settings_print(const struct ig_settings *settings);

#endif
