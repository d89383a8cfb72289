#include "events/log/sha256.hpp"

#include "events/core/check.hpp"

#include <openssl/evp.h>

namespace orrery::log {

namespace {

/// Fetched once: a fetch by name costs more than hashing a small record.
const EVP_MD* method() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  ORRERY_CHECK(fetched != nullptr);
  return fetched;
}

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  if (digit >= 'a' && digit <= 'f')
    return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F')
    return digit - 'A' + 10;
  return -1;
}

} // namespace

void sha256::free_context::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

sha256::sha256() : x_context(EVP_MD_CTX_new()) {
  ORRERY_CHECK(x_context != nullptr);
  ORRERY_CHECK(EVP_DigestInit_ex2(x_context.get(), method(), nullptr) == 1);
}

void sha256::update(std::string_view bytes) {
  ORRERY_CHECK(EVP_DigestUpdate(x_context.get(), bytes.data(), bytes.size()) == 1);
}

digest sha256::finish() {
  digest made{};
  ORRERY_CHECK(EVP_DigestFinal_ex(x_context.get(), made.data(), nullptr) == 1);
  ORRERY_CHECK(EVP_DigestInit_ex2(x_context.get(), nullptr, nullptr) == 1);
  return made;
}

digest sha256_of(std::string_view first, std::string_view second) {
  thread_local sha256 context;
  context.update(first);
  context.update(second);
  return context.finish();
}

std::string to_text(const digest& value) {
  constexpr std::string_view hex_digits = "0123456789abcdef";
  std::string text;
  text.reserve(value.size() * 2);
  for (const auto byte : value) {
    text += hex_digits[byte >> 4];
    text += hex_digits[byte & 0xf];
  }
  return text;
}

std::string combine(const std::map<partition_number, std::string>& digests) {
  std::string lines;
  for (const auto& [where, one] : digests)
    lines += to_text(where) + " " + one + "\n";
  return to_text(sha256_of(lines));
}

result<digest> parse_digest(std::string_view text) {
  digest parsed{};
  bool good = text.size() == parsed.size() * 2;
  for (std::size_t at = 0; good && at < text.size(); ++at) {
    const int value = hex_value(text[at]);
    good = value >= 0;
    auto& byte = parsed[at / 2];
    byte = static_cast<std::uint8_t>((byte << 4) | (value & 0xf));
  }
  if (!good)
    return error{error_code::invalid_argument,
                 "'" + std::string(text.substr(0, 80)) +
                     "' is not a SHA-256 value: want 64 hexadecimal digits",
                 false};
  return parsed;
}

} // namespace orrery::log
