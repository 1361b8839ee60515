/* The yardstick: one loop that copies bytes between each client and an upstream connection of its own, and reads nothing
 * of them. A proxy that parses cannot do less. relay LISTEN_PORT UPSTREAM_PORT, on 127.0.0.1. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kMaxFds = 65536, kBuffer = 65536 };
static int other_end[kMaxFds];
static char buffer[kBuffer];

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in a;
  memset(&a, 0, sizeof a);
  a.sin_family = AF_INET;
  a.sin_port = htons((unsigned short)port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

static void watch(int poller, int fd) {
  int one = 1;
  struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
}

static void accept_all(int poller, int listener, int upstream_port) {
  int client;
  while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    struct sockaddr_in to = loopback(upstream_port);
    int up = socket(AF_INET, SOCK_STREAM, 0);
    if (client >= kMaxFds || up >= kMaxFds || up < 0 || connect(up, (struct sockaddr *)&to, sizeof to) != 0) {
      close(client);
      if (up >= 0) close(up);
      continue;
    }
    other_end[client] = up;
    other_end[up] = client;
    watch(poller, client);
    watch(poller, up);
  }
}

static void copy(int from) {
  int to = other_end[from];
  if (to == 0) return;
  ssize_t got = recv(from, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0) return;
  if (got == 0) {
    other_end[from] = other_end[to] = 0;
    close(from);
    close(to);
    return;
  }
  for (ssize_t sent = 0; sent < got;) {
    ssize_t n = send(to, buffer + sent, (size_t)(got - sent), MSG_NOSIGNAL);
    if (n < 0) return;
    sent += n;
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: relay LISTEN_PORT UPSTREAM_PORT\n"), 2;
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poller = epoll_create1(0);
  struct sockaddr_in at = loopback(atoi(argv[1]));
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 4096) != 0) return perror("relay"), 1;
  struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, ready[512];
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(poller, ready, 512, -1);
    for (int i = 0; i < n; i++) {
      if (ready[i].data.fd == listener) accept_all(poller, listener, atoi(argv[2]));
      else copy(ready[i].data.fd);
    }
  }
}
