/* Stop: what SIGINT, SIGTERM and SIGHUP do. The first asks all workers to end, so that the command cleans up; the
 * second ends the process at once. */
#ifndef COFRE_CLI_STOP_H
#define COFRE_CLI_STOP_H

/* Signals that are ignored already (nohup) stay so. */
void stop_install(void);
/* The signal that came; 0 = none. */
int stop_signal(void);

#endif
