/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_TRAIN_CHILD_H
#define IG_APP_TRAIN_CHILD_H

/* The training child: what `ingot train-child PARENT-PID` runs, started by the job supervisor with
 * the descriptors of services/job/job_spec.h. Returns the exit code. */
int ig_train_child(long parent_pid);

#endif
