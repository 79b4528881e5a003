/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_REPLAY_H
#define IG_APP_REPLAY_H

#include "cli.h"

/* `ingot explain --replay RECORD`: exit code. */
int ig_replay(const struct ig_cli *cli);

#endif
