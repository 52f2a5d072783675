// An ESP32 for g++: its clock, and its network by OpenSSL, for the sketch of docs/connect.md.
#pragma once
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>

using boolean = bool;
using byte = uint8_t;
#define PROGMEM
#define pgm_read_byte_near(x) *(x)

inline uint32_t millis() {
  using namespace std::chrono;
  static const auto begin = steady_clock::now();
  return duration_cast<milliseconds>(steady_clock::now() - begin).count() + 1;
}
inline void delay(uint32_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }
inline void yield() {}
inline void configTime(long, int, const char *) {}

struct Print {
  virtual size_t write(uint8_t) = 0;
  virtual size_t write(const uint8_t *text, size_t size) {
    size_t done = 0;
    while (done < size && write(text[done])) done++;
    return done;
  }
};
struct Stream : Print {};
struct IPAddress {
  uint8_t of[4] = {};
  IPAddress() = default;
  IPAddress(uint8_t a, uint8_t b, uint8_t c, uint8_t d) : of{a, b, c, d} {}
  uint8_t operator[](int k) const { return of[k]; }
};
struct Client : Stream {
  virtual int connect(IPAddress ip, uint16_t port) = 0;
  virtual int connect(const char *host, uint16_t port) = 0;
  using Print::write;
  virtual int available() = 0;
  virtual int read() = 0;
  virtual int read(uint8_t *into, size_t size) = 0;
  virtual int peek() = 0;
  virtual void flush() = 0;
  virtual void stop() = 0;
  virtual uint8_t connected() = 0;
  virtual operator bool() = 0;
};

enum { WL_CONNECTED = 3 };
struct {
  void begin(const char *, const char *) {}
  int status() { return WL_CONNECTED; }
} inline WiFi;

class WiFiClientSecure : public Client {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL *tls = nullptr;
  int socket_ = -1;

  static BIO *in(const char *pem) { return BIO_new_mem_buf(pem, -1); }

 public:
  void setCACert(const char *pem) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context),
                        PEM_read_bio_X509(in(pem), nullptr, nullptr, nullptr));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  void setCertificate(const char *pem) {
    SSL_CTX_use_certificate(context, PEM_read_bio_X509(in(pem), nullptr, nullptr, nullptr));
  }
  void setPrivateKey(const char *pem) {
    SSL_CTX_use_PrivateKey(context, PEM_read_bio_PrivateKey(in(pem), nullptr, nullptr, nullptr));
  }
  int connect(IPAddress, uint16_t) override { return 0; }
  int connect(const char *host, uint16_t port) override {
    addrinfo asked = {}, *found = nullptr;
    asked.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, std::to_string(port).c_str(), &asked, &found)) return 0;
    socket_ = ::socket(found->ai_family, SOCK_STREAM, 0);
    int refused = ::connect(socket_, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (refused) return 0;
    tls = SSL_new(context);
    if (!X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host)) SSL_set1_host(tls, host);
    SSL_set_fd(tls, socket_);
    if (SSL_connect(tls) == 1) return 1;
    stop();
    return 0;
  }
  size_t write(uint8_t one) override { return write(&one, 1); }
  size_t write(const uint8_t *text, size_t size) override {
    int done = tls ? SSL_write(tls, text, size) : 0;
    return done > 0 ? done : 0;
  }
  int available() override {
    if (!tls) return 0;
    int waiting = 0;
    ioctl(socket_, FIONREAD, &waiting);
    uint8_t one;
    if (!SSL_pending(tls) && waiting) SSL_peek(tls, &one, 1);  // decrypts a record
    return SSL_pending(tls);
  }
  int read() override {
    uint8_t one;
    return read(&one, 1) == 1 ? one : -1;
  }
  int read(uint8_t *into, size_t size) override { return tls ? SSL_read(tls, into, size) : -1; }
  int peek() override { return -1; }
  void flush() override {}
  void stop() override {
    if (tls) SSL_free(tls);
    if (socket_ >= 0) ::close(socket_);
    tls = nullptr;
    socket_ = -1;
  }
  uint8_t connected() override { return tls != nullptr; }
  operator bool() override { return connected(); }
};
