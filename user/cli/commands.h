/* SPDX-License-Identifier: Apache-2.0 */
/* One command, one file. argv[0] is the command's name; the result is an enum exit_code. */
#pragma once

int cmd_status(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_quote(int argc, char **argv);
int cmd_enrol(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
