/* What ONNX Runtime looks for in a library of operators. */
#include "operator.h"

__attribute__((visibility("default"))) OrtStatus *RegisterCustomOps(
    OrtSessionOptions *options, const OrtApiBase *base) {
    static OrtCustomOpDomain *domain; /* for all sessions */
    const OrtApi *api = base->GetApi(ORT_API);
    OrtStatus *failed = NULL;
    if (!api) return NULL; /* an ONNX Runtime from before 1.17: it will miss the operators */
    if (!domain) {
        failed = api->CreateCustomOpDomain("anynode", &domain);
        if (!failed) failed = api->CustomOpDomain_Add(domain, &int8_operator);
        if (!failed) failed = api->CustomOpDomain_Add(domain, &int4_operator);
        if (!failed) failed = api->CustomOpDomain_Add(domain, &attention_operator);
    }
    return failed ? failed : api->AddCustomOpDomain(options, domain);
}
