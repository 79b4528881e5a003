/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_TRANSFER_FOLDER_H
#define IG_APP_TRANSFER_FOLDER_H

/* Shared by the two files of an mlruns folder as one side: transfer_folder.c has experiments and
 * runs, transfer_folder_models.c files and models. */

#include "transfer.h"

#include <limits.h>

enum { FILE_MAX = 1 << 30, VALUE_MAX = 8 << 20 };

struct folder {
    struct ig_transfer_side side;
    int root;
    char place[PATH_MAX]; /* absolute */
};

IG_TRANSFER_LIST(names, struct ig_str);

const char *folder_path(struct ig_arena *arena, struct ig_str a, const char *rest);
bool folder_has(const struct folder *folder, const char *path);
enum ig_code folder_check_name(struct ig_str name, const char *what, struct ig_err *err);
enum ig_code folder_read(struct ig_str *out, const struct folder *folder, const char *path,
                         size_t max, struct ig_arena *arena, struct ig_err *err);
enum ig_code folder_read_meta(const struct ig_yaml **out, const struct folder *folder,
                              const char *path, struct ig_arena *arena, struct ig_err *err);
enum ig_code folder_create(int *out, const struct folder *folder, const char *path,
                           struct ig_err *err);
enum ig_code folder_write(const struct folder *folder, const char *path, struct ig_str bytes,
                          struct ig_err *err);
enum ig_code folder_list(struct names *out, const struct folder *folder, const char *path,
                         unsigned char kind, struct ig_arena *arena, struct ig_err *err);
enum ig_code folder_walk(struct names *files, const struct folder *folder, const char *base,
                         struct ig_arena *arena, struct ig_err *err);
enum ig_code folder_read_pairs(struct ig_tracking_pairs *out, const struct folder *folder,
                               const char *base, bool values, struct ig_arena *arena,
                               struct ig_err *err);
enum ig_code folder_write_pairs(const struct folder *folder, const char *base,
                                struct ig_tracking_pairs pairs, struct ig_arena *arena,
                                struct ig_err *err);
enum ig_code folder_write_meta(const struct folder *folder, const char *base,
                               const struct ig_buf *meta, struct ig_arena *arena,
                               struct ig_err *err);
const char *folder_experiment(const struct folder *folder, struct ig_str id,
                              struct ig_arena *arena);
enum ig_code folder_make(const struct folder *folder, const char *base, struct ig_arena *arena,
                         struct ig_err *err);

enum ig_code folder_loggeds(struct ig_transfer_loggeds *out, struct ig_transfer_side *side,
                            struct ig_str experiment, struct ig_arena *arena, struct ig_err *err);
enum ig_code folder_put_logged(struct ig_transfer_logged *out, struct ig_transfer_side *side,
                               struct ig_str experiment, const struct ig_transfer_logged *logged,
                               struct ig_arena *arena, struct ig_err *err);
enum ig_code folder_files(struct ig_transfer_files *out, struct ig_transfer_side *side,
                          const struct ig_transfer_owner *owner, struct ig_arena *arena,
                          struct ig_err *err);
enum ig_code folder_fetch(int fd, struct ig_transfer_side *side,
                          const struct ig_transfer_owner *owner, struct ig_str path,
                          struct ig_err *err);
enum ig_code folder_put_file(struct ig_transfer_side *side, const struct ig_transfer_owner *owner,
                             const struct ig_transfer_file *file, int fd, struct ig_err *err);
enum ig_code folder_models(struct ig_transfer_models *out, struct ig_transfer_side *side,
                           struct ig_arena *arena, struct ig_err *err);
enum ig_code folder_versions(struct ig_transfer_versions *out, struct ig_transfer_side *side,
                             struct ig_str model, struct ig_arena *arena, struct ig_err *err);
enum ig_code folder_location(struct ig_str *out, struct ig_transfer_side *side, struct ig_str model,
                             int64_t version, struct ig_arena *arena, struct ig_err *err);
enum ig_code folder_put_model(struct ig_transfer_side *side, const struct ig_transfer_model *model,
                              struct ig_err *err);
enum ig_code folder_put_version(struct ig_transfer_side *side, struct ig_str model,
                                const struct ig_transfer_version *version, struct ig_err *err);
enum ig_code folder_put_alias(struct ig_transfer_side *side, struct ig_str model,
                              struct ig_tracking_pair alias, struct ig_err *err);

#endif
