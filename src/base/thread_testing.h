/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_THREAD_TESTING_H
#define IG_BASE_THREAD_TESTING_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* How often a thread of this process, by its name, went to sleep so far; -1: there is none. */
static inline long ig_thread_sleeps(const char *thread)
{
    char path[64], name[32] = "", line[128];
    long sleeps = -1;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && sleeps < 0 && (task = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/self/task/%.20s/status", task->d_name);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file)) {
            sscanf(line, "Name: %31s", name);
            if (strcmp(name, thread) == 0) sscanf(line, "voluntary_ctxt_switches: %ld", &sleeps);
        }
        if (file) fclose(file);
    }
    if (tasks) closedir(tasks);
    return sleeps;
}

#endif
