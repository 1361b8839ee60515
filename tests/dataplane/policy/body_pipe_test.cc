#include "dataplane/policy/body_pipe.h"

#include "tests/dataplane/policy/scripted.h"

using namespace gw;
using namespace gw::testing;

namespace {
using Direction = BodyPipe::Direction;

struct Flow {
  explicit Flow(std::map<std::string, Script> scripts, Direction direction = Direction::kRequest, const std::string& mode = {})
      : world(std::move(scripts), mode), x(world, "POST", "/") {
    REQUIRE(x.run() == "ok");
    REQUIRE(BodyPipe::wants(x.ctx, x.pipeline, direction));
    pipe = std::make_unique<BodyPipe>(x.ctx, x.pipeline, direction);
    world.journal.clear();
  }
  // What goes on after this piece, or what stops it.
  std::string write(std::string_view piece, bool last = false) {
    std::string out;
    Decision d = pipe->write(x.ctx, piece, last, out);
    return d.kind == Decision::Kind::kNext ? out : x.say(d);
  }
  std::string resume(Decision d) {
    std::string out;
    d = pipe->resume(x.ctx, d, out);
    return d.kind == Decision::Kind::kNext ? out : x.say(d);
  }
  ScriptedWorld world;
  Exchange x;
  std::unique_ptr<BodyPipe> pipe;
};

Script upper() {
  return {.phase = Phase::kTransform,
          .on_body =
              [](PolicyContext&, std::string_view piece, bool last, std::string* out) {
                for (char c : piece) *out += static_cast<char>(toupper(c));
                if (last) *out += "!";
                return Decision::next();
              },
          .request_mode = BodyMode::kTransform,
          .response_mode = BodyMode::kTransform};
}
}  // namespace

TEST_CASE("no pipe is wanted where no policy looks at bodies") {
  ScriptedWorld w(std::map<std::string, Script>{{"a", Script{}}});
  Exchange x(w, "POST", "/");
  REQUIRE(x.run() == "ok");
  CHECK_FALSE(BodyPipe::wants(x.ctx, x.pipeline, Direction::kRequest));
  CHECK_FALSE(x.ctx.route->request_body);
}

TEST_CASE("inspect sees each piece and passes it on") {
  Flow f({{"a", {.request_mode = BodyMode::kInspect}}});
  CHECK(f.x.ctx.route->request_body);
  CHECK(f.write("one") == "one");
  CHECK(f.write("") == "");
  CHECK(f.write("two", true) == "two");
  CHECK(f.world.journal == Journal{"body a 'one'", "body a 'two' last"});
  CHECK_FALSE(f.pipe->transforms());
}

TEST_CASE("collect holds the body back and shows it once, whole") {
  Flow f({{"a", {.request_mode = BodyMode::kCollect, .limit = 8}}});
  CHECK(f.write("1234") == "");
  CHECK(f.pipe->held() == 4);
  CHECK(f.write("5678", true) == "12345678");
  CHECK(f.world.journal == Journal{"body a '12345678' last"});
}

TEST_CASE("collect shows an empty body too") {
  Flow f({{"a", {.request_mode = BodyMode::kCollect}}});
  CHECK(f.write("", true) == "");
  CHECK(f.world.journal == Journal{"body a '' last"});
}

TEST_CASE("a body beyond what collect takes is refused, in either direction by its reason") {
  Flow request({{"a", {.request_mode = BodyMode::kCollect, .limit = 8}}});
  CHECK(request.write("12345") == "");
  CHECK(request.write("6789") == "TOO_LARGE");
  CHECK(request.pipe->refused_by()->info().name == "a");
  Flow response({{"a", {.response_mode = BodyMode::kCollect, .limit = 8}}}, Direction::kResponse);
  CHECK(response.write("123456789") == "UPSTREAM_INVALID");
}

TEST_CASE("transform replaces what goes on") {
  Flow f({{"a", upper()}});
  CHECK(f.pipe->transforms());
  CHECK(f.write("ab") == "AB");
  CHECK(f.write("", true) == "!");
}

TEST_CASE("policies see the request's body in order, the response's in reverse") {
  std::map<std::string, Script> scripts = {{"a", upper()}, {"b", {.phase = Phase::kTransform, .request_mode = BodyMode::kInspect, .response_mode = BodyMode::kInspect}}};
  Flow request(scripts);
  CHECK(request.write("x", true) == "X!");
  CHECK(request.world.journal == Journal{"body a 'x' last", "body b 'X!' last"});
  Flow response(scripts, Direction::kResponse);
  CHECK(response.write("x", true) == "X!");
  CHECK(response.world.journal == Journal{"body b 'x' last", "body a 'x' last"});
}

TEST_CASE("a policy may answer in the middle of a body") {
  Flow f({{"a", {.on_body = [](PolicyContext& c, std::string_view piece, bool, std::string*) {
                   return piece == "bad" ? refuse_with(c, Reason::kValidation) : Decision::next();
                 },
                 .request_mode = BodyMode::kInspect}}});
  CHECK(f.write("good") == "good");
  CHECK(f.write("bad") == "VALIDATION");
  CHECK(f.pipe->refused_by()->full_name() == "p/a");
}

TEST_CASE("an observed policy looks, and neither answers nor replaces") {
  Flow f({{"a", {.on_body = [](PolicyContext& c, std::string_view, bool, std::string*) { return refuse_with(c, Reason::kWaf); },
                 .request_mode = BodyMode::kInspect}}},
         Direction::kRequest, "mode: POLICY_MODE_OBSERVE");
  CHECK(f.write("x", true) == "x");
  CHECK(f.pipe->observed()->info().name == "a");
  CHECK(f.pipe->refused_by() == nullptr);
}

TEST_CASE("a pause in a body keeps the piece, and a resume sends it on through the rest") {
  Flow f({{"a", {.on_body = [](PolicyContext&, std::string_view, bool, std::string*) { return Decision::pause(); },
                 .request_mode = BodyMode::kInspect}},
          {"b", upper()}});
  CHECK(f.write("one") == "pause");
  CHECK(f.pipe->paused());
  CHECK(f.resume(Decision::next()) == "ONE");
  CHECK(f.write("two", true) == "pause");
  CHECK(f.resume(Decision::next()) == "TWO!");
  CHECK(f.write("x") == "pause");
  CHECK(f.resume(refuse_with(f.x.ctx, Reason::kPolicyUnavailable)) == "POLICY_UNAVAILABLE");
}
