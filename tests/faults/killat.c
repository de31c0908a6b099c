/* killat [-w] N OUT COMMAND...: SIGKILL all processes of COMMAND at their N-th system-call stop.
 *
 * Stops are counted over all threads and children, at the entry and at the exit of each call, so that a sweep over N
 * visits every moment at which the outside world can have changed. N = 0 kills nothing. The number of stops seen is
 * written into the file OUT. Exit status: 137 when killed, else that of COMMAND. With -w cofre's watchdog and the
 * runners of its hooks, and what these start, are neither counted nor killed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

struct count {
    unsigned long seen, fatal;
};

static enum trace_verdict visit(void *context, const struct trace_stop *stop)
{
    (void)stop;
    struct count *count = context;
    return ++count->seen == count->fatal ? TRACE_KILL_ALL : TRACE_GO_ON;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "-w") == 0) {
        trace_let_go("watchdog");
        trace_let_go("hook");
        argv++, argc--;
    }
    if (argc < 4) {
        fputs("usage: killat [-w] N OUT COMMAND...\n", stderr);
        return 2;
    }
    struct count count = {.fatal = strtoul(argv[1], NULL, 10)};
    int status = trace_run(argv + 3, visit, &count);
    FILE *out = fopen(argv[2], "w");
    if (!out || fprintf(out, "%lu\n", count.seen) < 0 || fclose(out)) {
        perror(argv[2]);
        return 125;
    }
    return status;
}
