/* Preloaded into a server: its clock of the day is off by the seconds that a file holds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static const volatile long long *offset(void) {
  static const volatile long long *shared;
  const char *path = getenv("CLOCK_OFFSET");
  if (!shared && path) {
    int file = open(path, O_RDONLY);
    void *page = mmap(0, sizeof(long long), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) shared = page;
  }
  return shared;
}

int clock_gettime(clockid_t clock, struct timespec *result) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int status = real(clock, result);
  if (clock == CLOCK_REALTIME && offset()) result->tv_sec += *offset();
  return status;
}
